"""Every kind of offer, and what its rules cost, on two buses between which nothing is lost."""

from decimal import Decimal
from typing import Any, Final

import pytest

from api_spec.case import Case
from api_spec.result import Result
from market.clearing import Options, clear
from tests.small_cases import Document, block, case, curve, envelope, line, load, price

FREE: Final = {"r_ohm": 0.0, "x_ohm": 0.001}


def behind_a_line(import_limit_w: float | list[float], *p_w: float, most: float | None = 5000.0, **more: Any) -> Case:
    """Load behind a line whose import is limited."""
    asked: Document = {
        "id": "r",
        "kind": "capacity",
        "element": "l1",
        "import_limit_w": import_limit_w,
        "max_price_eur_per_mwh": most,
    }
    return case(lines=[line("l1", "s", "far", **FREE)], baseline=[load("far", *p_w)], requests=[asked], **more)


def taken(result: Result) -> dict[str, tuple[int, ...]]:
    """Accepted power of every offer."""
    return {offer.id: offer.power_w for offer in result.offers}


# --- curves ----------------------------------------------------------------------------------------------------------


def test_a_curve_is_climbed_from_its_cheapest_step() -> None:
    """Steps, in no order: 0.4 MW at 90, 0.2 at 30, 0.3 at 50. 0.4 needed: 0.2 x 30 + 0.2 x 50 = 16 EUR, paid 50."""
    steps = curve("o", "far", (-400_000, 90.0), (-200_000, 30.0), (-300_000, 50.0))

    result = clear(behind_a_line(6e5, 1e6, offers=[steps]))

    assert taken(result) == {"o": (-400_000,)}
    assert result.cost_eur == 16
    assert float(price(result, "far").total[0]) == pytest.approx(50, abs=1e-3)
    assert result.offers[0].payment_eur == 20


def test_two_curves_are_merged_by_price() -> None:
    """0.5 MW from a: 0.2 at 30, 0.2 at 60, and b: 0.2 at 45, 0.2 at 75: all but the last 0.1 of a's 60: 21 EUR."""
    offers = [
        curve("a", "far", (-200_000, 30.0), (-200_000, 60.0)),
        curve("b", "far", (-200_000, 45.0), (-200_000, 75.0)),
    ]

    result = clear(behind_a_line(5e5, 1e6, offers=offers))

    assert taken(result) == {"a": (-300_000,), "b": (-200_000,)}
    assert result.cost_eur == 21, "0.2 x 30 + 0.2 x 45 + 0.1 x 60"
    assert [offer.payment_eur for offer in result.offers] == [18, 12]


def test_a_curve_may_ask_another_price_in_every_period() -> None:
    """Two quarters with 0.4 MW needed in each; a asks 20 then 80, b 50 in both: a in the first, b in the second."""
    a = curve("a", "far", (-500_000, 20.0), count=2)
    a["steps"][0]["price_eur_per_mwh"] = [20.0, 80.0]
    b = curve("b", "far", (-500_000, 50.0), count=2)

    result = clear(behind_a_line(6e5, 1e6, 1e6, offers=[a, b], resolution="PT15M"))

    assert taken(result) == {"a": (-400_000, 0), "b": (0, -400_000)}
    assert result.cost_eur == 7, "0.4 MW x 0.25 h x (20 + 50)"
    assert [float(each) for each in price(result, "far").total] == pytest.approx([20, 50], abs=1e-3)


def test_a_curve_that_consumes_more_is_taken_where_energy_is_cheaper_than_it_pays() -> None:
    """Energy at 30 and 80; the offer pays 50 for 1 MWh more: taken in the first hour, for 30 - 50 = -20 EUR."""
    result = clear(
        behind_a_line(9e6, 1e6, 1e6, offers=[curve("o", "far", (1_000_000, -50.0), count=2)], energy=[30, 80])
    )

    assert taken(result) == {"o": (1_000_000, 0)}
    assert result.cost_eur == 30 + 80 - 20
    assert result.offers[0].payment_eur == -30, "it buys at 30, having offered 50"
    assert result.offers[0].uplift_eur == 0


# --- blocks ----------------------------------------------------------------------------------------------------------


def exchange() -> Case:
    """Supply must equal demand [MW]: demand 10 at 300, 14 at 10; supply a block of 11 to 12 at 40, 13 at 100."""
    balance = {"id": "balance", "kind": "capacity", "element": "l1", "import_limit_w": 0, "export_limit_w": 0}
    return case(
        lines=[line("l1", "s", "far", **FREE)],
        baseline=[load("far", 0.0)],
        requests=[balance],
        offers=[
            curve("demand-300", "far", (10_000_000, -300.0)),
            curve("demand-10", "far", (14_000_000, -10.0)),
            block("supply-40", "far", (-12_000_000,), 40.0, min_activation=11 / 12),
            curve("supply-100", "far", (-13_000_000, 100.0)),
        ],
    )


def test_the_known_exchange_at_its_best_welfare() -> None:
    """Demand 10 x 300 + 1 x 10 less the block's 11 x 40 = 2570; at a price of 10 it needs 11 x 30 = 330 on top."""
    result = clear(exchange())

    assert taken(result) == {
        "demand-10": (1_000_000,),
        "demand-300": (10_000_000,),
        "supply-100": (0,),
        "supply-40": (-11_000_000,),
    }
    assert -result.cost_eur == 2570
    assert float(price(result, "far").total[0]) == pytest.approx(10, abs=1e-3)
    supply = next(offer for offer in result.offers if offer.id == "supply-40")
    assert float(supply.payment_eur) == pytest.approx(110, abs=0.02)
    assert float(supply.uplift_eur) == pytest.approx(330, abs=0.02)
    assert supply.payment_eur + supply.uplift_eur == 440, "what it asked"


def test_the_known_exchange_without_blocks_at_a_loss() -> None:
    """10 x (300 - 100) = 2000 at a price of 100, which would earn the block 12 x 60 = 720: it is told so."""
    result = clear(exchange(), Options(no_paradoxically_accepted=True))

    assert taken(result) == {
        "demand-10": (0,),
        "demand-300": (10_000_000,),
        "supply-100": (-10_000_000,),
        "supply-40": (0,),
    }
    assert -result.cost_eur == 2000
    assert float(price(result, "far").total[0]) == pytest.approx(100, abs=1e-3)
    assert all(offer.uplift_eur == 0 for offer in result.offers)
    rejected = next(offer for offer in result.offers if offer.id == "supply-40")
    assert rejected.reason is not None and rejected.reason.code == "paradoxically_rejected"
    assert "720.0" in rejected.reason.detail


@pytest.mark.parametrize(
    ("curve_price", "expected", "cost"),
    [
        (60.0, {"b": (0,), "c": (-30_000,)}, Decimal("1.8")),
        (80.0, {"b": (-50_000,), "c": (0,)}, Decimal("2.0")),
    ],
)
def test_minimum_activation_makes_a_block_buy_more_than_is_needed(
    curve_price: float, expected: dict[str, tuple[int, ...]], cost: Decimal
) -> None:
    """30 kW needed. At least half of a block of 100 kW at 40 is 2.00 EUR; 30 kW of the curve are 1.80 or 2.40 EUR."""
    offers = [
        block("b", "far", (-100_000,), 40.0, min_activation=0.5),
        curve("c", "far", (-200_000, curve_price)),
    ]

    result = clear(behind_a_line(70_000, 100_000, offers=offers))

    assert taken(result) == expected
    assert result.cost_eur == cost


def test_above_its_minimum_a_block_is_divisible_and_sets_the_price() -> None:
    """70 kW of a block of 100 kW at 40 that gives at least 50: 2.80 EUR, price 40, nothing on top."""
    offers = [block("b", "far", (-100_000,), 40.0, min_activation=0.5), curve("c", "far", (-200_000, 60.0))]

    result = clear(behind_a_line(30_000, 100_000, offers=offers))

    assert taken(result) == {"b": (-70_000,), "c": (0,)}
    assert float(price(result, "far").total[0]) == pytest.approx(40, abs=1e-3)
    assert float(result.offers[0].payment_eur) == pytest.approx(2.8, abs=1e-4)
    assert float(result.offers[0].uplift_eur) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("group", "expected", "cost"),
    [
        (None, {"b1": (-100_000,), "b2": (-120_000,), "c": (0,)}, 5),
        ("g", {"b1": (0,), "b2": (-120_000,), "c": (-30_000,)}, 6),
    ],
)
def test_at_most_one_block_of_an_exclusive_group(
    group: str | None, expected: dict[str, tuple[int, ...]], cost: int
) -> None:
    """150 kW needed. Blocks of 100 kW at 20 and 120 kW at 25: both are 2 + 3 = 5 EUR.

    Only one of them, and the rest from the curve at 100: 2 + 5 = 7 with the first, 3 + 3 = 6 with the second.
    """
    offers = [
        block("b1", "far", (-100_000,), 20.0, exclusive_group=group),
        block("b2", "far", (-120_000,), 25.0, exclusive_group=group),
        curve("c", "far", (-200_000, 100.0)),
    ]

    result = clear(behind_a_line(100_000, 250_000, offers=offers))

    assert taken(result) == expected
    assert result.cost_eur == cost


@pytest.mark.parametrize(
    ("requires", "curve_price", "expected", "cost"),
    [
        (None, 60.0, {"child": (-100_000,), "curve": (0,), "parent": (0,)}, Decimal(1)),
        ("parent", 60.0, {"child": (-100_000,), "curve": (0,), "parent": (-50_000,)}, Decimal(5)),
        ("parent", 45.0, {"child": (0,), "curve": (-100_000,), "parent": (0,)}, Decimal("4.5")),
    ],
)
def test_a_block_is_not_taken_without_the_offer_that_it_requires(
    requires: str | None, curve_price: float, expected: dict[str, tuple[int, ...]], cost: Decimal
) -> None:
    """100 kW needed. The child's at 10 are 1 EUR, with its parent's 50 kW at 80 they are 5; the curve's 6 or 4.50."""
    offers = [
        block("child", "far", (-100_000,), 10.0, requires=requires),
        block("parent", "far", (-50_000,), 80.0),
        curve("curve", "far", (-200_000, curve_price)),
    ]

    result = clear(behind_a_line(150_000, 250_000, offers=offers))

    assert taken(result) == expected
    assert result.cost_eur == cost


@pytest.mark.parametrize("larger", [1, 300])
def test_reactive_power_is_not_the_acceptance_that_a_block_requires(larger: int) -> None:
    """100 kW needed (30 MW on a market 300 times as large), by a curve at 45: 4.50 EUR.

    The child at 10 requires a fleet whose running energy may neither rise nor fall, and its free reactive power, or
    less and more at once, do not make that accepted.
    """
    still = envelope("still", "far", ([-larger * 50_000], [larger * 50_000]), ([0], [0]), 5.0)
    offers = [
        block("child", "far", (-larger * 100_000,), 10.0, requires="still"),
        curve("curve", "far", (-larger * 200_000, 45.0)),
        {**still, "q_var_min": -20_000, "q_var_max": 20_000},
    ]

    result = clear(behind_a_line(larger * 150_000, larger * 250_000, offers=offers))

    assert taken(result) == {"child": (0,), "curve": (-larger * 100_000,), "still": (0,)}
    assert result.cost_eur == larger * Decimal("4.5")


def test_a_required_offer_is_taken_even_where_others_ask_the_same() -> None:
    """100 kW needed: the child's at 10 are 1 EUR, and a watt more of what it requires is nothing.

    Two curves ask 80 and share pro rata: of the one watt the parent's part is a tenth, but it is the one required.
    """
    offers = [
        block("child", "far", (-100_000,), 10.0, requires="parent"),
        curve("large", "far", (-90_000, 80.0)),
        curve("parent", "far", (-10_000, 80.0)),
    ]

    result = clear(behind_a_line(150_000, 250_000, offers=offers))

    assert taken(result) == {"child": (-100_000,), "large": (0,), "parent": (-1,)}


@pytest.mark.parametrize(("first", "dear"), [(1, 0), (-1, -1)])
def test_a_required_fleet_that_must_pay_back_does_and_undoes_a_watt(first: int, dear: int) -> None:
    """100 kW needed in the second hour: the child's at 10 are 1 EUR. It requires a fleet that may keep no energy.

    Whichever way the fleet can go first: a watt there, and a watt back, which one more offer makes room for if it must.
    """
    can = sorted((0, first * 50_000)), sorted((0, -first * 50_000))
    offers = [
        block("child", "far", (0, -100_000), 10.0, requires="fleet"),
        curve("dear", "far", (-100_000, 200.0), count=2),
        envelope("fleet", "far", ([can[0][0], can[1][0]], [can[0][1], can[1][1]]), ([-50_000, 0], [50_000, 0]), 80.0),
    ]

    result = clear(behind_a_line(150_000, 100_000, 250_000, offers=offers))

    assert taken(result) == {"child": (0, -100_000), "dear": (0, dear), "fleet": (first, -first)}


def test_rebound_costs_what_it_strains() -> None:
    """Energy 100 then 40, loads 2 and 1.5 MW, limit 2; 0.9 MW less now means 1 MW more in the next hour.

    5 EUR per MWh reduced are 5 x 0.9 / 1.9 = 2.368421 per MWh of |change|. The second hour has room for 0.5 MW, so 0.45
    are taken: (2 - 0.45) x 100 + 2 x 40 + 0.45 x 5 = 237.25 EUR. One MW of room more there would save 0.9 x (100 - 5)
    = 85.50 less the 40 of its energy: congestion 45.50, price 85.50.
    """
    shifting = block("shift", "far", (-900_000, 1_000_000), 2.368421, min_activation=0.01)

    result = clear(behind_a_line(2e6, 2e6, 1.5e6, offers=[shifting], energy=[100.0, 40.0]))

    assert taken(result) == {"shift": (-450_000, 500_000)}
    assert result.cost_eur == Decimal("237.25")
    assert [float(each) for each in price(result, "far").total] == pytest.approx([100, 85.5], abs=1e-3)
    assert [float(each) for each in price(result, "far").congestion] == pytest.approx([0, 45.5], abs=1e-3)
    paid = result.offers[0].payment_eur + result.offers[0].uplift_eur
    assert float(paid) == pytest.approx(0.45 * 5, abs=1e-4), "45 earned, 42.75 paid for the rebound, 2.25 asked"


# --- envelopes -------------------------------------------------------------------------------------------------------


def test_an_envelope_trades_energy_between_hours_within_its_bounds() -> None:
    """Energy 40, 100, 70; up to 2 kW either way at 5 EUR/MWh, running energy within 1.5, -1 and 0 kWh.

    +1.5 kW at 40 + 5 (the energy bound), -2 kW at 100 - 5 (the power bound), +0.5 kW at 70 + 5 (back to 0):
    -67.5 + 190 - 37.5 = 85 thousandths of a EUR saved of 4 kW x (40 + 100 + 70) EUR/MWh = 0.84 EUR.
    """
    fleet = envelope("fleet", "far", ([-2000] * 3, [2000] * 3), ([-1000, -1000, 0], [1500, 1500, 0]), 5.0)

    result = clear(behind_a_line(9e6, 4e3, 4e3, 4e3, offers=[fleet], energy=[40.0, 100.0, 70.0]))

    assert taken(result) == {"fleet": (1500, -2000, 500)}
    assert result.cost_eur == Decimal("0.755")
    assert [float(each) for each in price(result, "far").total] == [40, 100, 70]


def test_an_envelope_in_quarters_is_bound_by_energy_not_power() -> None:
    """Quarters: 500 Wh of bounds are 2 kW for one quarter. 3 kW too much in the first: 2 kW from the fleet, 1 at 90.

    (2 kW x 20 + 1 kW x 90 + 2 kW x 20 to give it back) x 0.25 h = 42.5 thousandths of a EUR.
    """
    fleet = envelope("fleet", "far", ([-4000, 0], [0, 4000]), ([-500, 0], [0, 0]), 20.0)
    offers = [fleet, curve("other", "far", (-4000, 90.0), count=2)]

    result = clear(behind_a_line(10e3, 13e3, 5e3, offers=offers, resolution="PT15M"))

    assert taken(result) == {"fleet": (-2000, 2000), "other": (-1000, 0)}
    assert result.cost_eur == Decimal("0.0425")
    assert float(price(result, "far").total[0]) == pytest.approx(90, abs=1e-3)


# --- reactive capability ---------------------------------------------------------------------------------------------


def voltage_behind_a_reactance(*offers: Document) -> Case:
    """1 MW and 1.2 Mvar through x = 0.02 pu; at least 0.98 pu is asked, which takes 230 205 var.

    From 1 = |V + j x (P - jQ) / V|: x Q = sqrt(V^2 - (x P)^2) - V^2 = sqrt(0.96) - 0.9604, so Q = 0.969795.
    """
    asked = {"id": "r", "kind": "voltage", "buses": "all", "min_pu": 0.98, "max_price_eur_per_mwh": 5000}
    reactance = line("l1", "s", "far", r_ohm=0.0, x_ohm=2.0)
    return case(lines=[reactance], baseline=[load("far", 1e6, q_var=(1.2e6,))], requests=[asked], offers=list(offers))


def test_reactive_capability_lifts_voltage() -> None:
    """100 kvar from the offer at 4 EUR/Mvarh, which has no more, 130.205 from the one at 9: 0.40 + 1.1718 EUR."""
    result = clear(
        voltage_behind_a_reactance(
            curve("a", "far", (-1000, 900.0), q_var_min=-300_000, q_price_eur_per_mvarh=9.0),
            curve("b", "far", (-1000, 900.0), q_var_min=-100_000, q_price_eur_per_mvarh=4.0),
            curve("c", "far", (-1000, 900.0)),
        )
    )

    assert [offer.q_var for offer in result.offers] == [(pytest.approx(-130_205, abs=1),), (-100_000,), None]
    assert float(result.cost_eur) == pytest.approx(1.5718, abs=2e-4)
    assert not any(any(offer.power_w) for offer in result.offers)
    paid = [float(offer.payment_eur + offer.uplift_eur) for offer in result.offers]
    assert paid == pytest.approx([1.1718, 0.4, 0], abs=2e-4), "what was asked: nodal prices are those of active power"


def test_blocks_and_envelopes_bring_reactive_power_too() -> None:
    """A block that is not accepted and an envelope that does nothing still give reactive power.

    The block has 150 kvar at 1 EUR/Mvarh, the envelope 300 at 2: 0.15 + 0.080205 x 2 = 0.3104 EUR.
    """
    unused = block("block", "far", (-1000,), 900.0, q_var_min=-150_000, q_price_eur_per_mvarh=1.0)
    fleet = envelope("fleet", "far", ([-1000], [0]), ([-1000], [0]), 900.0)

    result = clear(voltage_behind_a_reactance(unused, {**fleet, "q_var_min": -300_000, "q_price_eur_per_mvarh": 2.0}))

    assert [offer.q_var for offer in result.offers] == [(-150_000,), (pytest.approx(-80_205, abs=1),)]
    assert [offer.power_w for offer in result.offers] == [(0,), (0,)]
    assert float(result.cost_eur) == pytest.approx(0.3104, abs=2e-4)


@pytest.mark.parametrize(
    ("energy", "expected", "cost"),
    [([5.0], (-50_000,), Decimal("-0.25")), ([5.0, 20.0], (50_000, -50_000), Decimal("0.75"))],
)
def test_a_fleet_that_pays_for_change_does_not_pay_for_both_ways_at_once(
    energy: list[float], expected: tuple[int, ...], cost: Decimal
) -> None:
    """100 kW of load; a fleet pays 10 EUR per MWh of |change|, up to 50 kW either way, all of it back after two hours.

    Less by 50 kW at 5: 50 kW are bought for 0.25 and 0.50 are paid. More, at 5 and before 20: 0.75 - 0.50, then
    1.00 - 0.50 EUR. Less and more at once would be paid twice for no change at all.
    """
    count = len(energy)
    bounds = ([-50_000] * count, [50_000] * count)
    running = bounds if count == 1 else ([-50_000, 0], [50_000, 0])
    fleet = envelope("fleet", "far", bounds, running, -10.0)

    result = clear(behind_a_line(9e6, *[100_000.0] * count, offers=[fleet], energy=energy))

    assert taken(result) == {"fleet": expected}
    assert result.cost_eur == cost
