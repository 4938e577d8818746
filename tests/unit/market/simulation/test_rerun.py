"""Two runs' results, compared file by file."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from market.simulation.rerun import differences

NAN = float("nan")


def test_what_is_missing_in_both_is_no_difference(tmp_path: Path) -> None:
    """Limits are NaN where nothing is rated: the column that differs is named, not the one that has none in both."""
    tables = [{"limit": [NAN, 1.0], "word": [None, "a"], "actual": [2.0, each]} for each in (3.0, 4.0)]
    for name, table in zip(("first", "second"), tables, strict=True):
        (tmp_path / name / "results").mkdir(parents=True)
        pq.write_table(pa.table(table), tmp_path / name / "results" / "elements.parquet")

    (found,) = differences(tmp_path / "first", tmp_path / "second")

    assert str(found) == "results/elements.parquet: actual differs in 1 row, first in row 2: 4.0 instead of 3.0"
