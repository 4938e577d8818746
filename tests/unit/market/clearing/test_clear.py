"""What a market may rely on: no harm, fair ties, explained refusals, results that do not depend on order."""

import random
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_spec.case import Case
from api_spec.result import PriceParts, Result
from market.clearing import clear
from market.errors import LimitCannotBeMet, PowerFlowDiverged
from tests.small_cases import Document, block, bus, case, chain, curve, document, envelope, limit, line, load, price

CAPACITY = {"id": "r", "dso": "d", "kind": "capacity", "element": "l1", "import_limit_w": 2e6}


def without_solver(result: Result) -> str:
    return result.model_copy(update={"solver": result.solver.model_copy(update={"seconds": {}})}).model_dump_json()


def test_an_impossible_limit_says_which_where_when_and_what_would_have_been_needed() -> None:
    """3 MW behind 2 MW without a maximum price, and only 0.4 MW on offer."""
    impossible = case(
        lines=[line("l1", "s", "far", r_ohm=0.0, x_ohm=0.001)],
        baseline=[load("far", 1e6, 3e6)],
        requests=[CAPACITY],
        offers=[curve("o", "far", (-400_000, 50.0), count=2)],
    )

    with pytest.raises(LimitCannotBeMet) as refusal:
        clear(impossible)

    assert str(refusal.value) == (
        'capacity limit of l1 (request "r") at 2026-01-15 16:00 UTC: 2.6e+06 W with every useful offer accepted, '
        "the limit is 2e+06 W; 600.0 kW less consumption at far would meet it"
    )


def test_clearing_does_no_harm_to_limits_that_nobody_asked_about() -> None:
    """An aggregator that pays to consume more is stopped by the line's rating, and by a baseline above it."""
    eager = curve("o", "far", (900_000, -20.0), count=2)
    rated = [line("l1", "s", "far", rating_a=60.0)]

    result = clear(case(lines=rated, baseline=[load("far", 8e5, 1.5e6)], offers=[eager]))

    assert 0 < result.offers[0].power_w[0] < 900_000, "up to 60 A at 10 kV, about 1.04 MVA"
    assert result.offers[0].power_w[1] == 0, "already above 60 A: not one watt more"
    assert result.verification.max_violation_pu <= 5e-5


def test_a_limit_met_at_any_price_that_lowers_prices_lowers_them_no_more_than_it_must() -> None:
    """Feed-in holds the far end above its band, and consuming less, at 10 where energy is 60, would raise it further.

    Every price up to 10 supports that nothing is accepted. There is no lowest, so the nearest to energy is published.
    """
    high = [bus("s", max_pu=1.01), bus("far", max_pu=1.01)]
    eager = curve("o", "far", (-100_000, 10.0))

    result = clear(
        case(buses=high, lines=[line("l1", "s", "far")], baseline=[load("far", -2e6)], offers=[eager], energy=[60.0])
    )

    assert result.offers[0].power_w == (0,)
    assert float(price(result, "far").total[0]) == pytest.approx(10, abs=1e-3)


def test_the_price_between_two_lines_that_are_full_together_is_the_middle_whatever_else_is_partly_accepted() -> None:
    """l1 and l2 carry the same 50 A: behind both an offer at 80 sets the price, the bus between may be before either.

    Four feeders beside them, each with an offer that is worth taking up to where its losses are down to 1 %: energy at
    60, and 61.2 at the bus between without the first line's limit. The middle of that and of some 78.6 is 69.9.
    """
    congestion = {"dso": "d", "kind": "congestion", "limit_a": 50.0, "max_price_eur_per_mwh": 3000}
    aside = [f"x{k}" for k in range(4)]
    result = clear(
        case(
            lines=[*chain("s", "m", "far"), *(line(each, "s", each) for each in aside)],
            baseline=[load("far", 1e6), *(load(each, 1e6) for each in aside)],
            energy=[60.0],
            requests=[{**congestion, "id": f"r{k}", "element": f"l{k}"} for k in (1, 2)],
            offers=[curve("o", "far", (-500_000, 80.0)), *(curve(each, each, (-900_000, 60.6)) for each in aside)],
        )
    )

    assert all(0 > each.power_w[0] > -600_000 for each in result.offers), "partly accepted, all five"
    assert float(price(result, "far").total[0]) == pytest.approx(80.0, abs=1e-3)
    assert float(price(result, "m").total[0]) == pytest.approx(69.91, abs=0.01)


def test_the_middle_of_prices_is_of_those_at_which_an_unused_fleet_stays_unused() -> None:
    """0.1 MW needed in the first hour, exactly the first step: any price from 50 to 80 supports that.

    A fleet that would give back in the second hour, for nothing, what it spares in the first asks 2 x 30: above 60 it
    would want to. So the middle is 55.
    """
    needed = curve("o", "far", (-100_000, 50.0), (-100_000, 80.0), count=2)
    fleet = envelope("fleet", "far", ([-50_000] * 2, [50_000] * 2), ([-50_000, 0], [0, 0]), 30.0)
    tied = case(
        lines=[line("l1", "s", "far", r_ohm=0.0, x_ohm=0.001)],
        baseline=[load("far", 2.1e6, 1e6)],
        requests=[{**CAPACITY, "max_price_eur_per_mwh": 500}],
        offers=[needed, fleet],
    )

    result = clear(tied)

    assert [offer.power_w for offer in result.offers] == [(0, 0), (-100_000, 0)]
    assert [float(each) for each in price(result, "far").total] == pytest.approx([55, 0], abs=1e-3)


def test_equal_offers_at_one_place_share_pro_rata_whatever_their_order() -> None:
    """0.1 MW needed from offers of 0.3, 0.6 and 0.1 MW at one price: 30 001, 60 000 and 10 000 W."""
    offers = [
        curve("a", "far", (-300_000, 50.0)),
        curve("b", "far", (-600_000, 50.0)),
        curve("c", "far", (-100_000, 50.0)),
    ]
    tied = {
        "lines": [line("l1", "s", "far", r_ohm=0.0, x_ohm=0.001)],
        "baseline": [load("far", 2_100_001)],
        "requests": [{**CAPACITY, "max_price_eur_per_mwh": 500}],
    }

    shares = [clear(case(**tied, offers=order)).offers for order in (offers, offers[::-1])]

    assert [offer.power_w for offer in shares[0]] == [(-30_001,), (-60_000,), (-10_000,)]
    assert shares[0] == shares[1]


def test_a_baseline_without_an_ac_solution_is_named_with_its_period() -> None:
    with pytest.raises(PowerFlowDiverged, match="period 1 has no solution"):
        clear(case(lines=[line("l1", "s", "far", r_ohm=50.0, x_ohm=50.0)], baseline=[load("far", 1e5, 9e6)]))


def test_requests_that_are_not_active_ask_for_nothing() -> None:
    asked = {**CAPACITY, "max_price_eur_per_mwh": 500, "active": [False, True]}
    both = case(
        lines=[line("l1", "s", "far", r_ohm=0.0, x_ohm=0.001)],
        baseline=[load("far", 2.5e6, 2.5e6)],
        requests=[asked],
        offers=[curve("o", "far", (-900_000, 50.0), count=2)],
    )

    assert clear(both).offers[0].power_w == (0, -500_000)


def test_what_the_optimum_leaves_unmet_costs_its_price_however_little_it_is() -> None:
    """80 W of 2 MW, less than whole watts could break, for an hour at 500 EUR/MWh: 0.04 EUR."""
    asked = case(
        lines=[line("l1", "s", "far", r_ohm=0.0, x_ohm=0.001)],
        baseline=[load("far", 2.5e6)],
        requests=[{**CAPACITY, "max_price_eur_per_mwh": 500}],
        offers=[curve("o", "far", (-499_920, 50.0))],
    )
    result = clear(asked)

    assert result.status == "partly_cleared"
    assert limit(result, "r").unmet == pytest.approx(80, abs=0.01)
    assert float(result.cost_eur) == pytest.approx(0.49992 * 50 + 80e-6 * 500, abs=1e-4)


def test_a_block_that_changes_nothing_is_nobodys_trouble() -> None:
    """Half a megawatt is needed, and served as if it were not there, be it the first of offers or the last."""
    for name in ("a", "z"):
        empty = block(name, "far", (0,), 5.0)
        result = clear(
            case(
                lines=[line("l1", "s", "far", r_ohm=0.0, x_ohm=0.001)],
                baseline=[load("far", 2.5e6)],
                requests=[CAPACITY],
                offers=[curve("o", "far", (-900_000, 50.0)), empty],
            )
        )
        assert {offer.id: offer.power_w for offer in result.offers} == {"o": (-500_000,), name: (0,)}


@st.composite
def books(draw: st.DrawFn) -> Document:
    """A random tree of 10 kV lines with loads, offers of both directions and a limit that is a little too tight."""
    buses = ["s", *(f"b{k}" for k in range(draw(st.integers(2, 6))))]
    lines = [
        line(
            f"l{k}",
            buses[draw(st.integers(max(0, k - 2), k - 1))] if k > 1 else "s",
            name,
            r_ohm=draw(st.sampled_from([0.3, 0.8])),
        )
        for k, name in enumerate(buses)
        if k > 0
    ]
    baseline = [load(name, draw(st.integers(100_000, 600_000)), q_var=(50_000,)) for name in buses[1:]]
    price = st.decimals(5, 200, places=2).map(float)
    offers = [
        curve(
            f"o{k}",
            draw(st.sampled_from(buses[1:])),
            (draw(st.sampled_from([-300_000, -120_000, 150_000])), draw(price)),
        )
        for k in range(draw(st.integers(1, 6)))
    ]
    total = sum(each["p_w"][0] for each in baseline)
    limit = {**CAPACITY, "import_limit_w": draw(st.floats(0.85, 1.1)) * total, "max_price_eur_per_mwh": 1000}
    energy = draw(st.sampled_from([[0.0], [60.0], [-15.0]]))
    return document(lines=lines, baseline=baseline, offers=offers, requests=[limit], energy=energy)


SOME = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@SOME
@given(books(), st.randoms(use_true_random=False))
def test_results_do_not_depend_on_the_order_of_lists(book: Document, shuffle: random.Random) -> None:
    shuffled = {**book, "network": dict(book["network"])}
    for part, where in (
        ("offers", shuffled),
        ("baseline", shuffled),
        ("lines", shuffled["network"]),
        ("buses", shuffled["network"]),
    ):
        where[part] = shuffle.sample(where[part], len(where[part]))

    first, second = (clear(Case.model_validate(each)) for each in (book, shuffled))

    assert without_solver(first) == without_solver(second)


@SOME
@given(books())
def test_nobody_is_paid_less_than_asked_and_more_supply_never_costs_more(book: Document) -> None:
    result = clear(Case.model_validate(book))
    less = clear(Case.model_validate({**book, "offers": book["offers"][:-1]}))

    assert result.cost_eur <= less.cost_eur + Decimal("0.0002") + abs(less.cost_eur) / 10**6
    for terms, offer in zip(sorted(book["offers"], key=lambda each: str(each["id"])), result.offers, strict=True):
        asked = abs(offer.power_w[0]) * terms["steps"][0]["price_eur_per_mwh"] / 1e6
        assert float(offer.payment_eur + offer.uplift_eur) >= asked - 2e-4


@SOME
@given(books())
def test_a_losing_offer_that_asks_more_changes_nothing(book: Document) -> None:
    result = clear(Case.model_validate(book))
    losing = {offer.id for offer in result.offers if not any(offer.power_w)}
    raised = [
        {**each, "steps": [{**each["steps"][0], "price_eur_per_mwh": each["steps"][0]["price_eur_per_mwh"] + 50}]}
        if each["id"] in losing
        else each
        for each in book["offers"]
    ]

    again = clear(Case.model_validate({**book, "offers": raised}))

    assert [offer.power_w for offer in again.offers] == [offer.power_w for offer in result.offers]
    assert total_prices(again) == pytest.approx(total_prices(result), abs=1e-3)


def total_prices(result: Result) -> list[float]:
    return [
        float(price)
        for parts in result.prices_eur_per_mwh.values()
        if isinstance(parts, PriceParts)
        for price in parts.total
    ]
