"""The HTML report of a run."""

from pathlib import Path

from market.figures.page import write_page
from market.figures.run_charts import run_charts
from market.figures.run_folder import RunFolder


def write_report(run_folder: Path) -> Path:
    """Write `report.html` into a finished run's folder from the tables there; returns its path."""
    run = RunFolder.at(run_folder)
    return write_page(run_folder, "report.html", run=run, charts=run_charts(run.tables(), run.zone, run.network()))
