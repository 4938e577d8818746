"""Continuous trading: what is left of offers and requests, and that no watt is sold twice over many matches."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from api_spec.award import Award
from api_spec.case import Case
from api_spec.flexibility import FlexOffer
from market.clearing import clear
from market.clearing.terms import asked_eur_per_h, offered_range_w
from market.ledger.awards import awards_of
from market.orderbook.continuous import left_of, remaining
from tests.small_cases import Document, block, chain, curve, document, envelope, load

HOUR = Fraction(1)


def offer(terms: Document) -> FlexOffer:
    read: TypeAdapter[Any] = TypeAdapter(FlexOffer)
    return read.validate_python(terms)  # type: ignore[no-any-return]


def award(*power_w: int, **change: Any) -> Award:
    terms = {
        "offer": "o",
        "participant": "agg",
        "bus": "far",
        "power_w": power_w,
        "price_eur_per_mwh": (Decimal(90),) * len(power_w),
        "payment_eur": Decimal(1),
        "uplift_eur": Decimal(0),
    }
    return Award.model_validate({**terms, **change})


def test_a_curve_gives_its_cheapest_steps_first() -> None:
    """4 kW at 80 and 3 at 120: after 5 kW, 2 kW at 120 are left; after all 7, nothing is."""
    terms = offer(curve("o", "far", (-3000, 120.0), (-4000, 80.0)))

    left = left_of(terms, (-5000,), hours=HOUR)

    assert left == offer(curve("o", "far", (-2000, 120.0)))
    assert left_of(terms, (-7000,), hours=HOUR) is None


def test_a_block_is_taken_once() -> None:
    terms = offer(block("o", "far", (-4000,), 80.0, min_activation=0.1))

    assert left_of(terms, (-400,), hours=HOUR) is None
    assert left_of(terms, (0,), hours=HOUR) == terms


def test_a_fleet_keeps_what_its_power_and_energy_still_allow() -> None:
    """1 kWh of 2 is gone after a quarter of an hour at 4 kW; the 4 kW can be taken back at the same place."""
    terms = offer(envelope("o", "far", ([-4000, -4000], [0, 1000]), ([-2000, -2000], [0, 0]), 50.0))

    left = left_of(terms, (-4000, 0), hours=Fraction(1, 4))

    assert left == offer(envelope("o", "far", ([0, -4000], [4000, 1000]), ([-1000, -1000], [1000, 1000]), 50.0))


def test_an_offer_that_was_replaced_by_less_has_nothing_left() -> None:
    assert left_of(offer(curve("o", "far", (-4000, 80.0))), (-5000,), hours=HOUR) is None


def street(*, requests: list[Document], offers: list[Document]) -> Case:
    """24 kW of load behind a line."""
    lines = chain("s", "far")
    lines[0].update({"r_ohm": 0.0, "x_ohm": 0.001})
    return Case.model_validate(
        document(lines=lines, baseline=[load("far", 24_000.0)], requests=requests, offers=offers)
    )


LIMIT = {
    "id": "r",
    "kind": "capacity",
    "element": "l1",
    "import_limit_w": 20_000,
    "max_price_eur_per_mwh": 800,
}


def test_what_was_awarded_has_become_part_of_the_baseline() -> None:
    """24 kW behind 20: the first offer gives 3 kW; the second match takes the missing kilowatt from the other."""
    dear = curve("dear", "far", (-9000, 120.0))
    first = street(requests=[LIMIT], offers=[curve("cheap", "far", (-3000, 80.0))])
    sold = awards_of(first, clear(first))
    assert [(each.offer, each.power_w) for each in sold] == [("cheap", (-3000,))]

    second = remaining(street(requests=[LIMIT], offers=[curve("cheap", "far", (-3000, 80.0)), dear]), sold)
    again = awards_of(second, clear(second))

    assert [(each.offer, each.power_w, each.price_eur_per_mwh) for each in again] == [
        ("dear", (-1000,), (Decimal(120),))
    ]
    third = remaining(street(requests=[LIMIT], offers=[dear]), [*sold, *again])
    assert awards_of(third, clear(third)) == (), "the limit is kept, nothing more is needed"


def test_a_request_for_a_change_asks_for_what_is_still_missing() -> None:
    """5 kW less are asked for; 3 are bought at its bus, 9 elsewhere: 2 are missing. 6 bought: none, not one back."""
    asked = {"id": "r", "kind": "power", "buses": ["far"], "power_w": -5000, "max_price_eur_per_mwh": 800}
    case = street(requests=[asked], offers=[])

    bought = [award(-3000), award(-9000, bus="s")]

    assert remaining(case, bought).requests[0].power_w == (-2000,)  # type: ignore[union-attr]
    assert remaining(case, [award(-6000)]).requests[0].power_w == (0,)  # type: ignore[union-attr]


def test_of_blocks_that_exclude_each_other_the_first_match_takes_one() -> None:
    blocks = [block(name, "far", (-3000,), 80.0, exclusive_group="agg.g") for name in ("o", "p")]

    assert remaining(street(requests=[LIMIT], offers=blocks), [award(-3000)]).offers == ()


step = st.tuples(st.integers(-4000, -1), st.integers(1, 700))
books = st.lists(
    st.one_of(
        st.lists(step, min_size=1, max_size=3).map(lambda steps: curve("?", "far", *steps)),
        step.map(lambda each: block("?", "far", (each[0],), float(each[1]))),
        st.tuples(step, st.integers(0, 4000)).map(
            lambda each: envelope("?", "far", ([each[0][0]], [0]), ([-each[1]], [0]), float(each[0][1]))
        ),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=25, deadline=None)
@given(books, st.lists(st.integers(14_000, 24_000), min_size=1, max_size=3))
def test_over_all_matches_nobody_gives_more_than_offered_or_is_paid_less_than_asked(
    book: list[Document], limits: list[int]
) -> None:
    """Offers come one by one, the DSO asks for more again and again; after each a match, and all stand within."""
    arrived: list[Document] = []
    sold: list[Award] = []
    for number, terms in enumerate(book):
        arrived.append({**terms, "id": f"o{number}"})
        limit = {**LIMIT, "import_limit_w": limits[number % len(limits)]}
        case = remaining(street(requests=[limit], offers=arrived), sold)
        sold += awards_of(case, clear(case))
    for terms in arrived:
        made = offer(terms)
        own = [each for each in sold if each.offer == made.id]
        total = sum(each.power_w[0] for each in own)
        low, high = (int(each[0]) for each in offered_range_w(made))
        assert low <= total <= high
        if made.kind == "block":
            assert len(own) <= 1
        asked = asked_eur_per_h(made, (total,), None) / 10**6
        paid = sum((each.payment_eur + each.uplift_eur for each in own), Decimal(0))
        assert paid >= asked - Decimal("0.0002") * max(1, len(own))
