"""The HTML report of a study of instruments: one file that holds everything; made from the tables beside it."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
from plotly.offline import get_plotlyjs

from market.figures.report import templates
from market.figures.study import Study
from market.figures.study_charts import study_charts
from market.figures.study_table import COLUMNS

INSTRUMENTS: Final = "results/instruments.parquet"
PROFILES: Final = "results/profiles.parquet"
STUDY: Final = "study.json"
TIMING: Final = "timing.json"
REPORT: Final = "report.html"


def write_study_report(folder: Path) -> Path:
    """Write `report.html` into a study's folder from its tables; returns its path."""
    study = read_study(folder)
    assets = files("market.figures") / "assets"
    page = templates().get_template("study.html")
    text = page.render(
        study=study,
        columns=COLUMNS,
        charts=study_charts(study),
        css=(assets / "flexmarket.css").read_text(encoding="utf-8"),
        figures_js=(assets / "figures.js").read_text(encoding="utf-8"),
        plotly_js=get_plotlyjs(),
    )
    report = folder / REPORT
    report.write_text(text, encoding="utf-8")
    return report


def read_study(folder: Path) -> Study:
    """What a study's folder holds."""
    document = json.loads((folder / STUDY).read_text(encoding="utf-8"))
    timing = json.loads((folder / TIMING).read_text(encoding="utf-8"))
    return Study.of(
        document,
        pq.read_table(folder / INSTRUMENTS),
        pq.read_table(folder / PROFILES),
        seconds={(name, share): seconds for name, share, seconds in timing},
    )
