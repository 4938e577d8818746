"""The HTML report of a run: one file that holds everything, also its JavaScript, and loads nothing from anywhere."""

from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from market.figures.run_charts import run_charts
from market.figures.run_folder import REPORT, RunFolder


def write_report(run_folder: Path) -> Path:
    """Write `report.html` into a finished run's folder from the tables there; returns its path."""
    run = RunFolder.at(run_folder)
    charts = run_charts(run.tables(), run.zone, run.network())

    assets = files("market.figures") / "assets"
    page = templates().get_template("report.html")
    text = page.render(
        run=run,
        charts=charts,
        css=(assets / "flexmarket.css").read_text(encoding="utf-8"),
        figures_js=(assets / "figures.js").read_text(encoding="utf-8"),
        plotly_js=get_plotlyjs(),
    )

    report = run_folder / REPORT
    report.write_text(text, encoding="utf-8")
    return report


def templates() -> Environment:
    """Of pages that are written once; what is missing in one is an error."""
    loader = PackageLoader("market.figures")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
