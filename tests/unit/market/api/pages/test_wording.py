"""Numbers, times and requests in words."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter

from api_spec.flexibility import FlexRequest
from api_spec.period import MarketPeriod
from market.api.pages import wording

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
DAY = MarketPeriod(start=NOON, resolution=timedelta(minutes=15), count=4)


def test_numbers_have_thin_spaces_a_true_minus_and_no_negative_zero() -> None:
    assert wording.number(-12345.678, 2) == "\u221212\u202f345.68"
    assert wording.number(-0.01) == "0.0"


@pytest.mark.parametrize(
    ("watts", "said"), [(0, "0.0 kW"), (250, "250 W"), (-40_000, "\u221240.0 kW"), (12_500_000, "12.50 MW")]
)
def test_power_is_in_the_unit_that_reads_best(watts: int, said: str) -> None:
    assert wording.power(watts) == said


def test_money_below_ten_cents_keeps_its_four_decimals() -> None:
    assert wording.money(Decimal("0.0123")) == "0.0123 EUR"
    assert wording.money(Decimal("12.3456")) == "12.35 EUR"


def test_a_breach_too_small_to_measure_is_said_as_a_bound() -> None:
    assert wording.breach(5e-5) == "below 0.01 %"
    assert wording.breach(0.0312) == "3.12 %"


def test_distances_in_time() -> None:
    assert wording.away(NOON + timedelta(minutes=125), NOON) == "in 2 h 05 min"
    assert wording.away(NOON - timedelta(days=3), NOON) == "3 days ago"


def test_hours_are_stretches_of_periods_on_the_local_clock() -> None:
    zone = ZoneInfo("Europe/Copenhagen")

    assert wording.hours(DAY, None, zone) == "all periods"
    assert wording.hours(DAY, [False, True, True, False], zone) == "13:15 to 13:45"
    assert wording.hours(DAY, [True, False, False, True], zone) == "13:00 to 13:15, 13:45 to 14:00"


@pytest.mark.parametrize(
    ("terms", "where", "what"),
    [
        ({"kind": "congestion", "element": "l1", "limit_a": [180, 200]}, "l1", "current at most 180.0 A to 200.0 A"),
        ({"kind": "capacity", "element": "t1", "export_limit_w": 5000}, "t1", "export at most 5.0 kW"),
        (
            {"kind": "voltage", "buses": "all", "min_pu": 0.95, "max_pu": 1.05},
            "all buses",
            "voltage at least 0.950 pu and at most 1.050 pu",
        ),
        ({"kind": "unbalance", "buses": ["a"], "max_vuf": 0.02}, "a", "voltage unbalance at most 2.00 %"),
        ({"kind": "losses", "price_eur_per_mwh": 120}, "whole network", "fewer losses"),
        ({"kind": "reactive", "element": "t1", "limit_var": 2e6}, "t1", "reactive power at most 2\u202f000.0 kvar"),
        ({"kind": "power", "buses": "source", "power_w": -4000}, "source", "change of consumption \u22124.0 kW"),
    ],
)
def test_every_kind_of_request_has_its_sentence(terms: dict[str, object], where: str, what: str) -> None:
    request: FlexRequest = TypeAdapter(FlexRequest).validate_python({"id": "r1", **terms})

    assert (wording.place(request), wording.asked(request)) == (where, what)
