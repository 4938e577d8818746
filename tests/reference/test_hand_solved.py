"""Prices and awards that a reader can check with a pencil (clearing.md, "Numbers that can be checked by hand")."""

from decimal import Decimal

import pytest

from api_spec.result import PriceParts, Result
from market.clearing import clear
from tests.small_cases import case, chain, curve, line, load


def price(result: Result, bus: str) -> PriceParts:
    """Nodal prices of a bus of a balanced network."""
    parts = result.prices_eur_per_mwh[bus]
    assert isinstance(parts, PriceParts)
    return parts


def test_two_buses_price_losses_at_the_margin() -> None:
    """Per unit (1 MVA, 1 kV): r = x = 0.05, P = 0.5, Q = 0.2, energy 50: source 0.5156176 pu, DLMP 52.78148."""
    buses = [{"id": name, "nominal_v": 1000.0, "min_pu": 0.5, "max_pu": 1.5} for name in ("s", "far")]
    two = case(
        buses=buses,
        lines=[line("l1", "s", "far", r_ohm=0.05, x_ohm=0.05)],
        baseline=[load("far", 500_000, q_var=(200_000,))],
        energy=[50.0],
    )

    result = clear(two)

    assert float(price(result, "far").total[0]) == pytest.approx(52.78148, abs=1e-4)
    assert float(price(result, "far").losses[0]) == pytest.approx(2.78148, abs=1e-4)
    assert result.cost_eur == Decimal("25.7809"), "50 EUR/MWh x 0.5156176 MWh"
    assert result.status == "nothing_needed"


def test_price_behind_a_full_line_is_the_marginal_offer() -> None:
    """3 MW behind 2 MW, energy 30: 0.6 MW offered at 80, 1 MW at 120: cost 156, price 120, of which congestion 90."""
    full = case(
        lines=[line("l1", "s", "far", r_ohm=0.0, x_ohm=0.001)],
        baseline=[load("far", 3e6)],
        energy=[30.0],
        requests=[
            {"id": "r", "kind": "capacity", "element": "l1", "import_limit_w": 2e6, "max_price_eur_per_mwh": 3000}
        ],
        offers=[curve("cheap", "far", (-600_000, 80.0)), curve("dear", "far", (-1_000_000, 120.0))],
    )

    result = clear(full)

    assert [offer.power_w for offer in result.offers] == [(-600_000,), (-400_000,)]
    assert result.cost_eur == 156
    assert price(result, "far").total[0] == pytest.approx(120, abs=1e-3)
    assert price(result, "far").congestion[0] == pytest.approx(90, abs=1e-3)
    assert price(result, "s").total == (Decimal(30),)
    assert [offer.payment_eur for offer in result.offers] == [Decimal("72"), Decimal("48")]
    shadow = next(limit for limit in result.limits if limit.element == "l1").shadow_price
    assert shadow * 2e6 == pytest.approx(180, rel=1e-5), "congestion rent: 90 EUR/MWh on 2 MW"


def test_three_buses_price_what_each_contributes_to_the_full_line() -> None:
    """Behind a full first line both far buses pay the same; before it nobody pays."""
    three = case(
        lines=[line(f"l{k}", a, b, r_ohm=0.0, x_ohm=0.001) for k, (a, b) in enumerate([("s", "m"), ("m", "e")], 1)],
        baseline=[load("m", 1e6), load("e", 1e6)],
        requests=[
            {"id": "r", "kind": "capacity", "element": "l2", "import_limit_w": 0.9e6, "max_price_eur_per_mwh": 500}
        ],
        offers=[curve("at-m", "m", (-500_000, 10.0)), curve("at-e", "e", (-500_000, 40.0))],
    )

    result = clear(three)

    assert [offer.power_w for offer in result.offers] == [(-100_000,), (0,)], "only the end relieves the second line"
    assert price(result, "e").total[0] == pytest.approx(40, abs=1e-3)
    assert price(result, "m").total[0] == pytest.approx(0, abs=1e-3)


def test_a_limit_that_costs_more_than_its_maximum_price_stays_unmet_and_says_so() -> None:
    """0.5 MW is missing, offered at 100, worth 60: nothing is bought and the price is the maximum."""
    dear = case(
        lines=chain("s", "far"),
        baseline=[load("far", 1e6)],
        requests=[{"id": "r", "kind": "capacity", "element": "l1", "import_limit_w": 5e5, "max_price_eur_per_mwh": 60}],
        offers=[curve("o", "far", (-900_000, 100.0))],
    )

    result = clear(dear)

    assert result.status == "partly_cleared"
    assert result.offers[0].power_w == (0,)
    assert result.offers[0].reason is not None
    assert result.offers[0].reason.code == "too_expensive"
    assert float(price(result, "far").total[0]) == pytest.approx(60, rel=1e-6)
    (limit,) = [each for each in result.limits if each.request == "r"]
    assert limit.unmet == pytest.approx(limit.before - 5e5)


def test_an_envelope_moves_energy_and_gives_it_back() -> None:
    """2 kW too much in the first of two hours: 2 kWh move into the second, 30 EUR/MWh asked each way, cost 0.12."""
    fleet = {
        "id": "fleet",
        "participant": "agg",
        "bus": "far",
        "kind": "envelope",
        "power_w_min": [-5000, 0],
        "power_w_max": [0, 5000],
        "energy_wh_min": [-5000, 0],
        "energy_wh_max": [0, 0],
        "price_eur_per_mwh": 30.0,
    }
    moved = case(
        lines=[line("l1", "s", "far", r_ohm=0.0, x_ohm=0.001)],
        baseline=[load("far", 12_000, 4_000)],
        requests=[
            {"id": "r", "kind": "capacity", "element": "l1", "import_limit_w": 1e4, "max_price_eur_per_mwh": 900}
        ],
        offers=[fleet],
    )

    result = clear(moved)

    assert result.offers[0].power_w == (-2000, 2000)
    assert result.cost_eur == Decimal("0.12")
    assert result.offers[0].payment_eur + result.offers[0].uplift_eur >= Decimal("0.12")
