"""The data dictionary: what every table and column of results means, in words, and with them in every file.

`dictionary.toml` beside this module holds the words. Whoever adds a table or a column adds them there.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import Field

from api_spec.toml_file import read_toml
from api_spec.units import Message

Words = Annotated[str, Field(min_length=1)]


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
    """The words of these tables for programs: what a row is, and name, type, unit and meaning of every column."""
    words = dictionary().tables
    return {name: {"row": words[name].row, "columns": _columns(schema, words[name])} for name, schema in tables.items()}


def in_markdown() -> str:
    """The words of all tables for people."""
    words = dictionary()
    tables = (f"## {name}\n\nOne row is {each.row}.\n\n{_rows(each.columns)}" for name, each in words.tables.items())
    about = "Of one run as a whole (`measures.json`), or one row for each delivery (`measures.parquet`) or each run."
    return "\n\n".join([*tables, f"## measures\n\n{about}\n\n{_rows(words.measures)}"]) + "\n"


def _columns(schema: pa.Schema, words: TableWords) -> list[dict[str, str]]:
    return [
        {"name": field.name, "type": str(field.type), **words.columns[field.name].model_dump(exclude_none=True)}
        for field in schema
    ]


def _rows(columns: Mapping[str, Column]) -> str:
    rows = (f"| {name} | {each.unit} | {each.meaning}{_of_null(each)} |" for name, each in columns.items())
    return "\n".join(["| column | unit | meaning |", "|---|---|---|", *rows])


def _of_null(column: Column) -> str:
    return f"; null: {column.null}" if column.null else ""


def _metadata(column: Column) -> dict[str, str]:
    return {"unit": column.unit, "meaning": column.meaning}
