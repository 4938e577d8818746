"""What a study of instruments has to say, from the tables in its folder."""

import json
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from market.figures.study import Study
from market.figures.study_charts import study_charts
from market.figures.study_findings import findings
from market.figures.study_page import STUDY, TIMING, StudyPage, meanings_of
from market.figures.study_table import COLUMNS, study_tables

INSTRUMENTS: Final = "results/instruments.parquet"
PROFILES: Final = "results/profiles.parquet"
_FOOT: Final = (
    "Same night, same drivers, same network. Everything is AC power flow of what was really drawn; bills are the "
    "market's own."
)


def read_study(folder: Path) -> Study:
    """What a study's folder holds."""
    document = json.loads((folder / STUDY).read_text(encoding="utf-8"))
    timing = json.loads((folder / TIMING).read_text(encoding="utf-8"))
    return Study.of(
        document,
        pq.read_table(folder / INSTRUMENTS),
        pq.read_table(folder / PROFILES),
        seconds={(name, share, seed): seconds for name, share, seed, seconds in timing},
    )


def instruments_page(folder: Path) -> StudyPage:
    """All of it: peaks over penetration, a table for each penetration, and the charts."""
    study = read_study(folder)
    return StudyPage(
        title=f"{study.title}: every instrument",
        findings=findings(study),
        tables=study_tables(study),
        meanings=meanings_of(COLUMNS),
        charts=study_charts(study),
        foot=_FOOT,
        notes=study.notes,
    )
