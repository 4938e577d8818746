"""The HTML report of a study of instruments, made from the tables beside it."""

import json
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from market.figures.page import write_page
from market.figures.study import Study
from market.figures.study_charts import study_charts
from market.figures.study_table import COLUMNS

INSTRUMENTS: Final = "results/instruments.parquet"
PROFILES: Final = "results/profiles.parquet"
STUDY: Final = "study.json"
TIMING: Final = "timing.json"


def write_study_report(folder: Path) -> Path:
    """Write `report.html` into a study's folder from its tables; returns its path."""
    study = read_study(folder)
    return write_page(folder, "study.html", study=study, columns=COLUMNS, charts=study_charts(study))


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
