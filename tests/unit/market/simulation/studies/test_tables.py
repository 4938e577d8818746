"""Tables of studies: each column has words, and is shown alike at the terminal and in the report."""

from typing import Any

import pytest
from rich.console import Console

from api_spec.units import Message
from market.figures.study_page import Column, Row, StudyTable, number, worded
from market.simulation.dictionary import dictionary
from market.simulation.measures import Measures
from market.simulation.studies.cells import CellOutcome
from market.simulation.studies.folder import write_table
from market.simulation.studies.frame import terminal_table
from market.simulation.studies.monitoring import Noticed
from market.simulation.studies.playing import Played, strategies_table
from market.simulation.studies.seeing import Seen, observability_table
from market.simulation.studies.study import measures_table, profiles_table


def some(kind: type[Message], **known: Any) -> Any:
    """One with the number 1 wherever nothing is known."""
    measures = Measures(**dict.fromkeys(Measures.model_fields, 1.0))
    return kind.model_validate(dict.fromkeys(kind.model_fields, 1) | {"key": "k", "measures": measures} | known)


def test_every_column_of_every_study_has_words_and_no_other_has() -> None:
    profile = {"starts": ("2026-01-15T12:00:00+01:00",), "fleet_w": (1.0,), "nominated_w": (1.0,), "source_w": (1.0,)}
    cell = some(CellOutcome, instrument="dumb", **profile)
    seen = Seen.model_validate(dict.fromkeys(Seen.model_fields, 1) | {"key": "k", "degree": "all"})
    noticed = Noticed.model_validate(dict.fromkeys(Noticed.model_fields, 1) | {"alike": False, "flagged": False})
    game = some(Played, design="dlmp", strategy="honest", noticed=noticed)

    tables = {
        "instruments": measures_table([cell]),
        "profiles": profiles_table([cell]),
        "observability": observability_table([seen]),
        "strategies": strategies_table([game]),
    }

    words = dictionary()
    assert {name: table.column_names for name, table in tables.items()} == {
        name: list(words.study(name).columns) for name in words.studies
    }


def test_a_column_without_words_is_not_written(tmp_path: Any) -> None:
    table = observability_table([])
    with pytest.raises(KeyError, match="guess"):
        write_table(tmp_path, "observability", table.append_column("guess", [[]]))


def test_a_terminal_shows_the_short_columns_and_a_report_all() -> None:
    columns: list[Column[Row]] = [number("a W", "power", "a", ",.0f"), number("b", "another", "b", short=False)]
    table = StudyTable.of("Two", "Thing", columns, [("this", {"a": 1234.5, "b": None})])

    assert table.headings == ("Thing", "a W", "b")
    assert table.lines == (("this", "1,234", ""),)
    assert [column.header for column in terminal_table(table).columns] == ["", "a W"]


def test_a_unit_in_brackets_is_printed_as_it_stands() -> None:
    table = StudyTable("Peak [kW]", ("", "[1]"), (True, True), (("[dumb]", "5"),))
    console = Console(width=80)
    with console.capture() as printed:
        console.print(terminal_table(table))

    assert all(word in printed.get() for word in ("Peak [kW]", "[1]", "[dumb]"))


def test_what_rounds_to_nothing_has_no_sign() -> None:
    assert worded(-0.001, ".2f") == "0.00"
    assert worded(-1.5e3, ",.1f", per_unit=1e3) == "-1.5"
