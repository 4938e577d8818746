"""What is told to whom, and when a delivery is tried again."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from api_spec.award import Award
from api_spec.events import EVENT_TYPES, AwardMade, Event
from api_spec.organisation import Organisation
from market.notices.retries import next_attempt
from market.notices.story import EVERYBODY, OPERATORS, audiences_of, published

NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)


def award(offer: str, participant: str) -> Award:
    nothing = Decimal(0)
    return Award(
        offer=offer,
        participant=participant,
        bus="far",
        power_w=(-1,),
        price_eur_per_mwh=(nothing,),
        payment_eur=nothing,
        uplift_eur=nothing,
    )


def test_each_participant_is_told_of_its_own_awards_and_nobody_of_anybody_elses() -> None:
    first, *made = published("auc", [award("o1", "a"), award("o2", "b"), award("o3", "a")], now=NOON)

    assert (first.event.type, first.audience) == ("auction.published", EVERYBODY)
    told = {each.audience: each.event.offers for each in made if isinstance(each.event, AwardMade)}
    assert told == {"a": ("o1", "o3"), "b": ("o2",)}


def test_audiences_follow_from_who_asks() -> None:
    assert audiences_of(None) == (EVERYBODY,)
    assert audiences_of(Organisation(id="a", name="A", role="aggregator")) == (EVERYBODY, "a")
    assert audiences_of(Organisation(id="o", name="O", role="operator")) == (EVERYBODY, "o", OPERATORS)


def test_the_list_of_types_is_the_union_of_events() -> None:
    members = get_args(get_args(Event)[0])
    assert [get_args(each.model_fields["type"].annotation)[0] for each in members] == list(EVENT_TYPES)


def test_a_delivery_is_tried_ten_times_within_about_three_days() -> None:
    """5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h make 75 h 35 min 5 s."""
    now, tries = NOON, 1
    while (following := next_attempt(tries, now=now, luck=0)) is not None:
        now, tries = following, tries + 1

    assert tries == 10
    assert now - NOON == timedelta(hours=75, minutes=35, seconds=5)


@given(st.integers(1, 9), st.floats(0, 1))
def test_luck_lengthens_a_pause_by_a_fifth_at_most(failed: int, luck: float) -> None:
    least, most, drawn = (next_attempt(failed, now=NOON, luck=each) for each in (0, 1, luck))
    assert least is not None and most is not None and drawn is not None
    assert least <= drawn <= most
    assert (most - NOON) / (least - NOON) == 1.2
