"""Statements in other shapes than JSON: which one a reader gets, and tables that no spreadsheet runs."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_spec.settlement import SettlementLine, Statement
from market.api.statement_tables import statement_table
from market.api.statements import negotiated

NOW = datetime(2026, 1, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("accept", "shape"),
    [
        ("*/*", "application/json"),
        ("text/*", "text/csv"),
        ("text/html, text/csv", "text/csv"),
        ("text/html, text/csv;q=0.9", "text/html"),
        ("*/*, application/json;q=0", "text/csv"),
        ("TEXT/HTML ; Q=1.0", "text/html"),
        ("text/html;q=high", None),
        ("text/html;q=7", None),
        ("image/png", None),
        ("", None),
    ],
)
def test_the_shape_that_a_reader_likes_best(accept: str, shape: str | None) -> None:
    assert negotiated(accept) == shape


def statement(bus: str, net: str = "-1.5") -> Statement:
    line = SettlementLine(
        bus=bus,
        start=NOW,
        baseline_w=-5000,
        ordered_w=-1000,
        metered_w=-5000,
        delivered_w=0,
        deficiency_w=1000,
        price_eur_per_mwh=Decimal(70),
        penalty_eur_per_mwh=Decimal(1500),
        payment_eur=Decimal(0),
        penalty_eur=Decimal("1.5"),
        net_eur=Decimal(net),
    )
    return Statement(
        auction="auc-1",
        participant="agg-1",
        version=1,
        settled_at=NOW,
        lines=(line,),
        payment_eur=Decimal(0),
        penalty_eur=Decimal("1.5"),
        net_eur=Decimal(net),
    )


def cell(table: str, name: str) -> str:
    ((found),) = csv.DictReader(io.StringIO(table))
    return str(found[name])


@pytest.mark.parametrize("bus", ["=1+1", "+1", "-1", "@SUM(A1)", "\uff1d1+1"])
def test_a_name_that_looks_like_a_formula_is_text(bus: str) -> None:
    assert cell(statement_table(statement(bus)), "bus") == f"'{bus}"


def test_numbers_and_plain_names_stay_as_they_are() -> None:
    table = statement_table(statement('LV1.101 "Bus", 4'))

    assert cell(table, "bus") == 'LV1.101 "Bus", 4'
    assert (cell(table, "baseline_w"), cell(table, "net_eur")) == ("-5000", "-1.5")


@given(st.text(min_size=1, max_size=20).filter(lambda text: not set(text) & set("\r\n\x00")))
def test_no_text_begins_like_a_formula(name: str) -> None:
    bus = statement("x").model_copy(update={"lines": (statement("x").lines[0].model_copy(update={"bus": name}),)})
    assert cell(statement_table(bus), "bus").lstrip()[:1] not in tuple("=+-@\uff1d\uff0b\uff0d\uff20")
