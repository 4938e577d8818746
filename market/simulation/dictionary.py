"""The data dictionary: what every table and column of results means, in words, and with them in every file.

`dictionary.toml` beside this module holds the words. Whoever adds a table or a column adds them there, and writes
docs/results.md again: `python -m market.simulation.dictionary docs/results.md`.
"""

import sys
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import pyarrow as pa
from pydantic import Field

from api_spec.toml_file import read_toml
from api_spec.units import Message

_ABOUT_MEASURES: Final = "Of a whole run in `measures.json`; in `results/measures.parquet` one row is a delivery."
_STUDIES: Final = "# Tables of studies\n\nIn the `results/` of a study's folder, one row for each thing that was run."
_BEGINS: Final = "The first column of every table is `delivery`"
DELIVERY: Final = "delivery"
MEASURES: Final = "measures"
Words = Annotated[str, Field(min_length=1)]


class Column(Message):
    """unit : "" for what has none. null : what one means, absent where there are none. better : which of two values."""

    meaning: Words
    unit: str = ""
    null: str | None = None
    better: Literal["less", "more"] | None = None


class TableWords(Message):
    """row : what one row stands for. measures : whether all measures follow its own columns."""

    row: Words
    measures: bool = False
    columns: Annotated[dict[str, Column], Field(min_length=1)]


class Dictionary(Message):
    """Of runs and of studies.

    delivery : the first column of every table of a run. tables, studies : of a run and of studies, by name. measures :
    of runs and of deliveries.
    """

    delivery: Column
    tables: dict[str, TableWords]
    studies: dict[str, TableWords]
    measures: dict[str, Column]

    def table(self, name: str) -> TableWords:
        """The words of one table of a run, `measures` included, with all of its columns; KeyError where it has none."""
        if name == MEASURES:
            return TableWords(row="a delivery", columns={DELIVERY: self.delivery, **self.measures})
        words = self.tables[name]
        return TableWords(row=words.row, columns={DELIVERY: self.delivery, **words.columns})

    def study(self, name: str) -> TableWords:
        """The words of one table of a study, with all of its columns; KeyError where it has none."""
        words = self.studies[name]
        return words.model_copy(update={"columns": {**words.columns, **(self.measures if words.measures else {})}})


@cache
def dictionary() -> Dictionary:
    """The one that ships with flexmarket."""
    return read_toml(files(__package__) / "dictionary.toml", Dictionary, name="dictionary.toml")


def described(schema: pa.Schema, columns: Mapping[str, Column]) -> pa.Schema:
    """With unit and meaning in the metadata of each column that has words, where readers of Parquet find them."""
    return pa.schema([_described(field, columns.get(field.name)) for field in schema])


def document(tables: Mapping[str, pa.Schema]) -> dict[str, Any]:
    """The words of these tables for programs: what a row is, and name, type, unit and meaning of every column."""
    words = {name: dictionary().table(name) for name in tables}
    return {name: {"row": words[name].row, "columns": _columns(schema, words[name])} for name, schema in tables.items()}


def in_markdown() -> str:
    """The words of all tables of a run for people."""
    words = dictionary()
    tables = (_section(name, each) for name, each in words.tables.items())
    measures = f"## measures\n\n{_ABOUT_MEASURES}\n\n{_rows(words.measures)}"
    first = f"{_BEGINS}: the {words.delivery.meaning}."
    return "\n\n".join([first, *tables, measures]) + "\n"


def studies_in_markdown() -> str:
    """The words of all tables of studies for people."""
    tables = (_section(name, each) for name, each in dictionary().studies.items())
    return "\n\n".join([_STUDIES, *tables]) + "\n"


def main() -> None:
    """Write the words of all tables into the page that is named, in the place of those that stand there."""
    page = Path(sys.argv[1])
    before, _, _ = page.read_text(encoding="utf-8").partition(_BEGINS)
    page.write_text(f"{before}{in_markdown()}\n{studies_in_markdown()}", encoding="utf-8")


def _section(name: str, table: TableWords) -> str:
    then = " All [measures](#measures) follow." if table.measures else ""
    return f"## {name}\n\nOne row is {table.row}.{then}\n\n{_rows(table.columns)}"


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


def _described(field: pa.Field, words: Column | None) -> pa.Field:
    return field if words is None else field.with_metadata({"unit": words.unit, "meaning": words.meaning})


if __name__ == "__main__":
    main()
