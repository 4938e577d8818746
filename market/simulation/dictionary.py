"""The data dictionary: what every table and column of results means, in words, and with them in every file.

`dictionary.toml` beside this module holds the words. Whoever adds a table or a column adds them there.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Final, Literal

import pyarrow as pa
from pydantic import Field

from api_spec.toml_file import read_toml
from api_spec.units import Message

Words = Annotated[str, Field(min_length=1)]
_ABOUT_READING: Final = """\
One Parquet file for each table. Each is tidy: one row for one thing, one column for one property, the same names
everywhere. In Python:

    import pandas as pd
    elements = pd.read_parquet("results/elements.parquet")
    elements.groupby("element").actual.max()
"""


class Column(Message):
    """unit : "" for what has none. null : what one means, absent where there are none. better : which of two values."""

    meaning: Words
    unit: str = ""
    null: str | None = None
    better: Literal["less", "more"] | None = None


class TableWords(Message):
    """row : what one row stands for."""

    row: Words
    columns: Annotated[dict[str, Column], Field(min_length=1)]


class Dictionary(Message):
    """tables : of `results/`, by name. measures : of `measures.json` and of every table of runs."""

    tables: dict[str, TableWords]
    measures: dict[str, Column]


@cache
def dictionary() -> Dictionary:
    """The one that ships with flexmarket."""
    return read_toml(files(__package__) / "dictionary.toml", Dictionary, name="dictionary.toml")


def described(table: pa.Table, columns: Mapping[str, Column]) -> pa.Table:
    """The table with unit and meaning in the metadata of its columns, where readers of Parquet files find them."""
    return table.cast(described_schema(table.schema, columns))


def described_schema(schema: pa.Schema, columns: Mapping[str, Column]) -> pa.Schema:
    """The same of a schema; fields that are not among `columns` stay as they are."""
    return pa.schema(
        [field.with_metadata(_metadata(columns[field.name])) if field.name in columns else field for field in schema]
    )


def document(tables: Mapping[str, pa.Schema]) -> dict[str, Any]:
    """The dictionary of these tables as JSON: for each the meaning of a row, and type, unit and meaning of columns."""
    words = dictionary().tables
    return {name: {"row": words[name].row, "columns": _columns(schema, name)} for name, schema in tables.items()}


def page(tables: Mapping[str, pa.Schema]) -> str:
    """The dictionary of these tables as a page in Markdown."""
    return "\n".join(["# Results", "", _ABOUT_READING, *_sections(tables)]) + "\n"


def _columns(schema: pa.Schema, table: str) -> list[dict[str, str]]:
    columns = dictionary().tables[table].columns
    return [
        {"name": field.name, "type": str(field.type), **columns[field.name].model_dump(exclude_none=True)}
        for field in schema
    ]


def _sections(tables: Mapping[str, pa.Schema]) -> Iterator[str]:
    for name, schema in tables.items():
        words = dictionary().tables[name]
        yield from (
            f"## {name}",
            "",
            f"One row is {words.row}.",
            "",
            "| column | type | unit | meaning |",
            "|---|---|---|---|",
        )
        for field in schema:
            column = words.columns[field.name]
            null = f"; null: {column.null}" if column.null else ""
            yield f"| {field.name} | {field.type} | {column.unit} | {column.meaning}{null} |"
        yield ""


def _metadata(column: Column) -> dict[str, str]:
    return {"unit": column.unit, "meaning": column.meaning}
