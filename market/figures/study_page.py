"""What a study has to say: the same tables and sentences at a terminal and in a report of one file."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, Self, TypeAlias, TypeVar

from market.figures.chart import Chart
from market.figures.page import write_page

STUDY: Final = "study.json"
"""What a study's tables do not tell, such as titles."""
TIMING: Final = "timing.json"
"""Rows of a piece's place in the study, and what it took [s]."""

Row: TypeAlias = Mapping[str, Any]
R = TypeVar("R")


@dataclass(frozen=True)
class Column(Generic[R]):
    """heading : with its unit. text : what stands there for a row. short : whether a terminal shows it, too."""

    heading: str
    meaning: str
    text: Callable[[R], str]
    short: bool = True


def number(
    heading: str, meaning: str, name: str, form: str = ",.2f", *, per_unit: float = 1.0, short: bool = True
) -> Column[Row]:
    """A column of a row's number `name` over `per_unit`; nothing where it is not known."""
    return Column(heading, meaning, lambda row: worded(row[name], form, per_unit=per_unit), short)


def worded(value: float | None, form: str, *, per_unit: float = 1.0) -> str:
    """A number without the sign of what rounds to nothing; nothing where it is not known."""
    return "" if value is None else f"{value / per_unit:z{form}}"


@dataclass(frozen=True, eq=False)
class StudyTable:
    """title : over it. headings : the first is that of the lines' names. short : whether a terminal shows a column."""

    title: str
    headings: tuple[str, ...]
    short: tuple[bool, ...]
    lines: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, title: str, first: str, columns: Sequence[Column[R]], rows: Iterable[tuple[str, R]]) -> Self:
        """A line for each row, which comes with its name. first : what the rows are."""
        return cls(
            title=title,
            headings=(first, *(each.heading for each in columns)),
            short=(True, *(each.short for each in columns)),
            lines=tuple((name, *(each.text(row) for each in columns)) for name, row in rows),
        )


@dataclass(frozen=True, eq=False)
class StudyPage:
    """All that is shown of a study.

    title : of the report. findings : sentences. meanings : of columns, by their headings. foot : what holds for all of
    it. notes : what is compared, by its title.
    """

    title: str
    findings: tuple[str, ...]
    tables: tuple[StudyTable, ...]
    meanings: Mapping[str, str]
    charts: tuple[Chart, ...]
    foot: str
    notes: Mapping[str, str] = field(default_factory=dict)


def meanings_of(columns: Iterable[Column[Any]]) -> dict[str, str]:
    """By heading."""
    return {each.heading: each.meaning for each in columns}


def write_study_report(folder: Path, page: StudyPage) -> Path:
    """Write `report.html` into a study's folder; returns its path."""
    return write_page(folder, "study.html", study=page)
