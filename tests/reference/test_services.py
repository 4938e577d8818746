"""Every service of the field's list, each on a network that a pencil solves.

Two exact solutions of the power flow are used throughout. Through a line of resistance r alone (per unit: 1 ohm at
10 kV is 0.01) a load P without reactive power leaves V with r P = V (1 - V), so dV/dP = -r / (2 V - 1); the source
gives (1 - V) / r. The same holds with x and Q. Through almost no impedance, power arrives as it was sent.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from api_spec.grid import Phase
from market.clearing import clear
from tests.small_cases import Document, block, bus, case, curve, limit, line, load, phase_line, price

ROOT_3: Final = 3**0.5
PHASES: Final[tuple[Phase, ...]] = ("a", "b", "c")
TURN: Final = np.exp(2j * np.pi / 3)
FREE: Final = {"r_ohm": 0.0, "x_ohm": 0.001}
LOSSY: Final = {"r_ohm": 2.0, "x_ohm": 0.0}  # 0.02 pu at 10 kV


def request(kind: str, *, name: str = "r", most: float | None = 5000.0, **more: object) -> Document:
    """A request, with a maximum price that nothing here reaches."""
    return {"id": name, "kind": kind, "max_price_eur_per_mwh": most, **more}


def test_congestion_is_relieved_to_the_ampere() -> None:
    """100 A at 10 kV carry sqrt(3) x 10 kV x 100 A = 1 732 050.8 W: of 2 MW, 267 949.2 W must go, for 80 EUR/MWh.

    One ampere more would save sqrt(3) x 10 kV x 1 A = 17 320.5 W at 80 EUR/MWh = 1.3856 EUR/h.
    """
    result = clear(
        case(
            lines=[line("l1", "s", "far", **FREE)],
            baseline=[load("far", 2e6)],
            requests=[request("congestion", element="l1", limit_a=100.0)],
            offers=[curve("cheap", "far", (-600_000, 80.0)), curve("dear", "far", (-600_000, 81.0))],
        )
    )

    assert [offer.power_w for offer in result.offers] == [(-267_950,), (0,)]
    assert float(price(result, "far").congestion[0]) == pytest.approx(80, abs=1e-3)
    assert price(result, "far").total == price(result, "far").congestion
    assert not any(price(result, "s").total)
    told = limit(result, "r")
    assert [told.before, told.after] == pytest.approx([2e6 / ROOT_3 / 1e4, 100])
    assert told.unit == "A"
    assert told.shadow_price == pytest.approx(ROOT_3 * 0.01 * 80, rel=1e-5)


def test_import_capacity_is_kept() -> None:
    """2.5 MW towards a limit of 2 MW: 0.5 MW less, 0.3 at 40 and 0.2 of 0.4 at 70: 26 EUR, all paid 70."""
    result = clear(
        case(
            lines=[line("l1", "s", "far", **FREE)],
            baseline=[load("far", 2.5e6)],
            requests=[request("capacity", element="l1", import_limit_w=2e6, export_limit_w=1e6)],
            offers=[curve("o1", "far", (-300_000, 40.0)), curve("o2", "far", (-400_000, 70.0))],
        )
    )

    assert [offer.power_w for offer in result.offers] == [(-300_000,), (-200_000,)]
    assert result.cost_eur == 26
    assert [offer.payment_eur for offer in result.offers] == [21, 14]
    assert float(price(result, "far").congestion[0]) == pytest.approx(70, abs=1e-3)


def test_export_capacity_is_kept_by_consuming_more() -> None:
    """3 MW of generation towards a limit of 2 MW: 1 MW more consumption at 15, so consuming there is worth 15.

    The price is -15: who consumes 1 MWh more is paid 15 EUR. Less consumption would only harm.
    """
    result = clear(
        case(
            lines=[line("l1", "s", "far", **FREE)],
            baseline=[load("far", -3e6)],
            requests=[request("capacity", element="l1", import_limit_w=1e6, export_limit_w=2e6)],
            offers=[curve("less", "far", (-900_000, 1.0)), curve("more", "far", (1_200_000, 15.0))],
        )
    )

    assert [offer.power_w for offer in result.offers] == [(0,), (1_000_000,)]
    assert float(price(result, "far").total[0]) == pytest.approx(-15, abs=1e-3)
    assert result.cost_eur == 15
    assert result.offers[1].payment_eur == 15
    assert [limit(result, "r").limit, limit(result, "r").after] == pytest.approx([-2e6, -2e6], abs=2)


def test_low_voltage_is_lifted() -> None:
    """At V = 0.98, P = 0.98 x 0.02 / 0.02 = 0.98 MW: of 1.2 MW, 220 kW go, for 50 EUR/MWh.

    dV/dP = -0.02 / (2 x 0.98 - 1) = -1/48 pu per MW, so 1 pu is worth 50 x 48 = 2400 EUR/h.
    """
    result = clear(
        case(
            lines=[line("l1", "s", "far", **LOSSY)],
            baseline=[load("far", 1.2e6)],
            requests=[request("voltage", buses="all", min_pu=0.98)],
            offers=[curve("cheap", "far", (-400_000, 50.0)), curve("dear", "far", (-400_000, 60.0))],
        )
    )

    assert result.offers[0].power_w[0] == pytest.approx(-220_000, abs=1)
    assert result.offers[1].power_w == (0,)
    assert float(price(result, "far").voltage[0]) == pytest.approx(50, abs=1e-3)
    assert price(result, "far").total == price(result, "far").voltage
    told = limit(result, "r")
    assert [told.before, told.after] == pytest.approx([(1 + 0.904**0.5) / 2, 0.98], abs=1e-6)
    assert told.shadow_price == pytest.approx(2400, rel=1e-4)


def test_high_voltage_is_lowered_by_consuming_more() -> None:
    """At V = 1.02, P = 1.02 x -0.02 / 0.02 = -1.02 MW: of 1.2 MW of generation, 180 kW are used there, for 30 EUR/MWh.

    dV/dP = -0.02 / (2 x 1.02 - 1) = -1/52 pu per MW, so 1 pu is worth 30 x 52 = 1560 EUR/h.
    """
    result = clear(
        case(
            lines=[line("l1", "s", "far", **LOSSY)],
            baseline=[load("far", -1.2e6)],
            requests=[request("voltage", buses=["far"], max_pu=1.02)],
            offers=[curve("o", "far", (400_000, 30.0))],
        )
    )

    assert result.offers[0].power_w[0] == pytest.approx(180_000, abs=1)
    assert float(price(result, "far").voltage[0]) == pytest.approx(-30, abs=1e-3)
    assert limit(result, "r").shadow_price == pytest.approx(1560, rel=1e-4)


def test_unbalance_is_reduced_with_a_pencil() -> None:
    """Only phase a of a 400 V line (0.1 ohm a conductor) is loaded; its voltage is u times that of b and c.

    Then V1 = (u + 2) / 3, V2 = (u - 1) / 3, the factor is (1 - u) / (2 + u): 1/99 at u = 0.97, where the load is
    (400^2 / 3) / 0.1 x 0.97 x 0.03 = 15 520 W: of 20 kW, 4480 W go. There the factor changes by 3 / 2.97^2 per unit of
    u, the load by 533 333 x 0.94 W: 0.678394 per MW, so a factor of 1 is worth 60 / 0.678394 = 88.444 EUR/h.
    """
    result = clear(
        case(
            phases=3,
            buses=[bus("s", nominal_v=400.0), bus("far", nominal_v=400.0)],
            lines=[phase_line("l1", "s", "far", r_ohm=0.1)],
            baseline=[load("far", 20e3, phase="a")],
            requests=[request("unbalance", buses="all", max_vuf=1 / 99)],
            offers=[curve("o", "far", (-10_000, 60.0), phase="a")],
        )
    )

    assert result.offers[0].power_w[0] == pytest.approx(-4480, abs=1)
    assert float(price(result, "far", "a").unbalance[0]) == pytest.approx(60, rel=1e-4)
    assert price(result, "far", "a").total == price(result, "far", "a").unbalance
    assert limit(result, "r").after == pytest.approx(1 / 99, abs=1e-6)
    assert limit(result, "r").shadow_price == pytest.approx(88.444, rel=1e-4)


MUTUAL: Final = 0.1 * np.eye(3) + 0.05j * np.ones((3, 3)) + 0.02j * np.eye(3)  # ohm


def unbalance_factor(p_w: npt.NDArray[np.float64]) -> float:
    """|V2| / |V1| behind `MUTUAL` at 400 V with unity power factor per phase, from numpy alone."""
    source = 400 / ROOT_3 * np.array([1, TURN**2, TURN], dtype=np.complex128)
    v = source.copy()
    for _ in range(200):
        v[:] = source - MUTUAL @ (p_w / v).conj()
    positive, negative = v @ [1, TURN, TURN**2], v @ [1, TURN**2, TURN]
    return float(abs(negative) / abs(positive))


def test_unbalance_where_phases_see_each_other_as_numpy_has_it() -> None:
    """Where one phase is relieved at 60 EUR/MWh, the price of another is 60 x (dVUF/dp there) / (dVUF/dp here)."""
    loads = np.array([18e3, 6e3, 2e3])
    result = clear(
        case(
            phases=3,
            buses=[bus("s", nominal_v=400.0), bus("far", nominal_v=400.0)],
            lines=[phase_line("l1", "s", "far") | {"r_ohm": MUTUAL.real.tolist(), "x_ohm": MUTUAL.imag.tolist()}],
            baseline=[load("far", p_w, phase=phase) for phase, p_w in zip(PHASES, loads.tolist(), strict=True)],
            requests=[request("unbalance", buses=["far"], max_vuf=0.008)],
            offers=[curve("o", "far", (-15_000, 60.0), phase="a")],
        )
    )

    one_watt = np.array([1.0, 0, 0])
    after = loads + result.offers[0].power_w[0] * one_watt
    assert limit(result, "r").before == pytest.approx(unbalance_factor(loads), abs=1e-8)
    assert unbalance_factor(after) == pytest.approx(0.008, abs=1e-6) and unbalance_factor(after) <= 0.008
    assert unbalance_factor(after + one_watt) > 0.008, "and not one watt too many was bought"
    slopes = [(unbalance_factor(after + step) - unbalance_factor(after - step)) / 2 for step in np.eye(3)]
    for phase, slope in zip(PHASES, slopes, strict=True):
        assert float(price(result, "far", phase).unbalance[0]) == pytest.approx(60 * slope / slopes[0], abs=0.02)


def test_losses_are_reduced_until_the_last_watt_costs_what_it_saves() -> None:
    """Losses at 120 EUR/MWh: at V = 0.98 one watt less saves 1 / (2 V - 1) - 1 = 1/24 W, worth 5 EUR/MWh.

    So an offer at 5 EUR/MWh is taken from 1.2 MW down to 0.98 MW (0.98 x 0.02 / 0.02), and no further.
    """
    result = clear(
        case(
            lines=[line("l1", "s", "far", **LOSSY)],
            baseline=[load("far", 1.2e6)],
            requests=[{"id": "r", "kind": "losses", "price_eur_per_mwh": 120.0}],
            offers=[curve("o", "far", (-700_000, 5.0))],
        )
    )

    assert result.offers[0].power_w[0] == pytest.approx(-220_000, abs=20)
    assert float(price(result, "far").losses[0]) == pytest.approx(5, abs=1e-4)
    assert price(result, "far").total == price(result, "far").losses
    losses_mw = (1 - 0.98) / 0.02 - 0.98
    assert float(result.cost_eur) == pytest.approx(120 * losses_mw + 5 * 0.22, abs=2e-4)


@pytest.mark.parametrize("way", [1, -1])
def test_reactive_power_is_kept_within_its_limit_both_ways(way: int) -> None:
    """0.5 Mvar towards a limit of 0.3: 0.2 Mvar from the offer at 12 EUR/Mvarh = 2.40 EUR, none from the one at 15.

    Nodal prices are those of active power, so all of it is paid as what was asked. One var more of the limit saves
    12e-6 EUR/h. (The line itself takes 1e-6 x (1^2 + 0.3^2) Mvar, 1 var.)
    """
    able: Document = {"q_var_min": -400_000, "q_var_max": 400_000}
    result = clear(
        case(
            lines=[line("l1", "s", "far", r_ohm=0.0, x_ohm=1e-4)],
            baseline=[load("far", 1e6, q_var=(way * 500_000,))],
            requests=[request("reactive", element="l1", limit_var=300_000.0)],
            offers=[
                curve("cheap", "far", (-100_000, 70.0), **able, q_price_eur_per_mvarh=12.0),
                curve("dear", "far", (-100_000, 70.0), **able, q_price_eur_per_mvarh=15.0),
            ],
        )
    )

    cheap, dear = result.offers
    assert [*(cheap.q_var or ()), *(dear.q_var or ())] == pytest.approx([-way * 200_000, 0], abs=2)
    assert (cheap.power_w, dear.power_w) == ((0,), (0,))
    assert float(cheap.payment_eur + cheap.uplift_eur) == pytest.approx(2.4, abs=1e-4)
    assert dear.payment_eur == dear.uplift_eur == 0
    assert float(result.cost_eur) == pytest.approx(2.4, abs=1e-4)
    assert result.status == "cleared"
    assert limit(result, "r").shadow_price == pytest.approx(12e-6, rel=1e-4)
    assert limit(result, "r").after == pytest.approx(way * 300_000, abs=2)


@pytest.mark.parametrize(("way", "asked"), [(-1, "less"), (1, "more")])
def test_power_at_buses_counts_what_is_offered_there_alone(way: int, asked: str) -> None:
    """0.3 MW less (more) at a and b together: 0.2 at 40 and 0.1 at 70 = 15 EUR; the cheaper offer at c does not count.

    One MWh more at a or b costs 70 (or, asked for more, is worth 70); at c nothing.
    """
    result = clear(
        case(
            lines=[line(f"l{name}", "s", name, **FREE) for name in "abc"],
            baseline=[load("a", 1e6), load("b", 1e6), load("c", 1e6)],
            requests=[request("power", buses=["a", "b"], power_w=way * 300_000)],
            offers=[
                curve("oa", "a", (way * 200_000, 40.0)),
                curve("ob", "b", (way * 500_000, 70.0)),
                curve("oc", "c", (way * 500_000, 10.0)),
            ],
        )
    )

    assert [offer.power_w for offer in result.offers] == [(way * 200_000,), (way * 100_000,), (0,)], asked
    assert result.cost_eur == 15
    for name, expected in (("a", 70), ("b", 70), ("c", 0), ("s", 0)):
        assert float(price(result, name).total[0]) == pytest.approx(-way * expected, abs=1e-3)


def test_power_at_the_source_counts_losses() -> None:
    """0.5 MW less at the source: from 1.5 MW (V = 0.97, load 0.97 x 0.03 / 0.02 = 1.455) to 1 MW (V = 0.98, 0.98).

    So 475 kW at the load are enough. They ask 60; a watt there is 1 / (2 V - 1) = 1 / 0.96 at the source, where the
    price is 60 x 0.96 = 57.60.
    """
    result = clear(
        case(
            lines=[line("l1", "s", "far", **LOSSY)],
            baseline=[load("far", 1.455e6)],
            requests=[request("power", buses="source", power_w=-500_000)],
            offers=[curve("o", "far", (-600_000, 60.0))],
        )
    )

    assert result.offers[0].power_w[0] == pytest.approx(-475_000, abs=1)
    assert float(price(result, "far").total[0]) == pytest.approx(60, abs=1e-3)
    assert float(price(result, "s").total[0]) == pytest.approx(57.6, abs=1e-3)
    told = limit(result, "r")
    assert told.element == "source"
    assert [told.before, told.limit] == pytest.approx([1.5e6, 1e6])


def test_services_together_add_up_in_the_price() -> None:
    """A star of four feeders behind s. All four together are to draw 1.2 MW less; besides, each has its own need.

    a  capacity 2.5 MW for 3 MW: 0.5 MW at 90; and 0.2 Mvar at 12, for 0.5 Mvar towards 0.3 (and 6 var of the line)
    b  voltage 0.98 through 0.02 pu for 1.2 MW: 0.22 MW at 80, of which losses at 120 EUR/MWh save 5
    c  100 A for 2 MW: 267 950 W at 75
    d  nothing: the rest, 212 050 W, at 70 sets the price of the common need
    So a pays 70 + 20 capacity, b 70 + 5 losses + 5 voltage, c 70 + 5 congestion, d 70.
    """
    nearly = {"r_ohm": 0.0, "x_ohm": 1e-4}
    result = clear(
        case(
            lines=[
                line("la", "s", "a", **nearly),
                line("lb", "s", "b", **LOSSY),
                line("lc", "s", "c", **nearly),
                line("ld", "s", "d", **nearly),
            ],
            baseline=[load("a", 3e6, q_var=(500_000,)), load("b", 1.2e6), load("c", 2e6), load("d", 1e6)],
            requests=[
                request("capacity", name="capacity", element="la", import_limit_w=2.5e6),
                request("reactive", name="reactive", element="la", limit_var=300_000.0),
                request("voltage", name="voltage", buses=["b"], min_pu=0.98),
                {"id": "losses", "kind": "losses", "price_eur_per_mwh": 120.0},
                request("congestion", name="congestion", element="lc", limit_a=100.0),
                request("power", name="power", buses=["a", "b", "c", "d"], power_w=-1_200_000),
            ],
            offers=[
                curve("oa", "a", (-900_000, 90.0), q_var_min=-400_000, q_price_eur_per_mvarh=12.0),
                curve("ob", "b", (-600_000, 80.0)),
                curve("oc", "c", (-600_000, 75.0)),
                curve("od", "d", (-600_000, 70.0)),
            ],
        )
    )

    taken = [offer.power_w[0] for offer in result.offers]
    assert taken == pytest.approx([-500_000, -220_000, -267_950, -212_050], abs=3)
    assert list(result.offers[0].q_var or ()) == pytest.approx([-200_006], abs=2)
    assert {each.request for each in result.limits} == {"capacity", "reactive", "voltage", "congestion", "power"}
    parts = {name: price(result, name) for name in "abcd"}
    assert [float(parts[name].total[0]) for name in "abcd"] == pytest.approx([90, 80, 75, 70], abs=0.01)
    assert [float(parts[name].congestion[0]) for name in "abcd"] == pytest.approx([90, 70, 75, 70], abs=0.01)
    assert [float(parts[name].voltage[0]) for name in "abcd"] == pytest.approx([0, 5, 0, 0], abs=0.01)
    assert [float(parts[name].losses[0]) for name in "abcd"] == pytest.approx([0, 5, 0, 0], abs=0.01)
    shadow = {each.request: each.shadow_price for each in result.limits}
    assert shadow["capacity"] * 1e6 == pytest.approx(20, abs=0.01)
    assert shadow["power"] * 1e6 == pytest.approx(70, abs=0.01)
    assert shadow["voltage"] == pytest.approx(5 * 48, abs=1)
    assert shadow["congestion"] == pytest.approx(5 * ROOT_3 * 0.01, abs=1e-3)
    assert shadow["reactive"] * 1e6 == pytest.approx(12, abs=0.01)


def test_a_block_and_a_curve_serve_a_limit_in_the_hours_it_is_asked_for() -> None:
    """Capacity asked for in the second of two hours only: the block's first hour is bought along, at 20 for both.

    0.4 MW less are needed in hour 2: the block gives 0.3 (0.6 MWh at 20 = 12 EUR), the curve 0.1 at 90 = 9 EUR; the
    curve alone would cost 36.
    """
    result = clear(
        case(
            lines=[line("l1", "s", "far", **FREE)],
            baseline=[load("far", 1e6, 1e6)],
            requests=[request("capacity", element="l1", import_limit_w=6e5, active=[False, True])],
            offers=[block("b", "far", (-300_000, -300_000), 20.0), curve("c", "far", (-900_000, 90.0), count=2)],
        )
    )

    assert [offer.power_w for offer in result.offers] == [(-300_000, -300_000), (0, -100_000)]
    assert result.cost_eur == 21
    assert [float(each) for each in price(result, "far").total] == pytest.approx([0, 90], abs=1e-3)
