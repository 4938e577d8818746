"""Tables in Parquet files: the same table gives the same bytes, and a file is there as a whole or not at all."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def write_parquet(table: pa.Table, file: Path) -> None:
    """Write `table` in the place of what is there; nobody ever reads half of it."""
    partial = file.with_name(f"{file.name}.partial")
    pq.write_table(table, partial, compression="zstd")
    partial.replace(file)
