"""What may happen to announced sessions, by what happened to sessions like them."""

from dataclasses import replace
from datetime import timedelta

import numpy as np

from aggregator_agents.fleet import Session
from aggregator_agents.offering.record import NEAREST, Record
from aggregator_agents.straying import Stay
from tests.unit.aggregator_agents.places import HOUR, NOON, vehicle

SHORT, LONG = vehicle(stays_h=1, wants_wh=4000), vehicle(stays_h=8, wants_wh=20_000)


def stay(said: Session, *, late_h: float, taken: float) -> Stay:
    past = replace(said, arrives=said.arrives - timedelta(days=7), departs=said.departs - timedelta(days=7))
    return Stay(past, replace(past, departs=past.departs + late_h * HOUR, energy_wh=taken * past.energy_wh))


RECORD = Record.of(
    [
        *[stay(SHORT, late_h=2, taken=1.0)] * NEAREST,
        *[stay(LONG, late_h=late, taken=0.5) for late in [-4, 1] * NEAREST],
    ],
    zone="UTC",
)


def drawn(session: Session, *, after_h: float = 0) -> tuple[set[float], set[float]]:
    """What stays [h] and energies [Wh] may happen, seen `after_h` hours after noon."""
    random = np.random.default_rng(1)
    found = RECORD.scenarios([session], now=NOON + after_h * HOUR, count=200, random=random)
    return set(np.round(found.departs_h[:, 0], 6).tolist()), set(found.energy_wh[:, 0].tolist())


def test_drivers_are_compared_with_those_who_announced_the_like() -> None:
    """Short stays last two hours longer and take all; long ones end 4 h early or 1 h late, with half the energy."""
    assert drawn(SHORT) == ({3.0}, {4000.0})
    assert drawn(LONG) == ({4.0, 9.0}, {10_000.0})


def test_who_is_still_there_after_five_hours_is_not_one_of_those_who_leave_after_four() -> None:
    assert drawn(LONG, after_h=3.9)[0] == {4.0, 9.0}
    assert drawn(LONG, after_h=5)[0] == {9.0}


def test_who_has_taken_more_than_half_takes_what_those_took_who_took_more() -> None:
    """Of two like sessions one takes half of 20 kWh, one all of it: 15 kWh are to be expected, and 20 after 11."""
    both = Record.of([stay(LONG, late_h=0, taken=taken) for taken in (0.5, 1.0)], zone="UTC")
    (at_first,) = both.expected([LONG], now=NOON)
    (later,) = both.expected([LONG], now=NOON + HOUR, taken_wh={LONG.id: 11_000})

    assert at_first.energy_wh == 15_000
    assert later.energy_wh == 20_000


def test_where_nobody_was_before_what_was_said_is_believed() -> None:
    nothing = Record.of([], zone="UTC")
    found = nothing.scenarios([LONG], now=NOON, count=3, random=np.random.default_rng(1))

    assert found.departs_h.tolist() == [[8.0]] * 3 and found.energy_wh.tolist() == [[20_000.0]] * 3
    assert list(nothing.expected([LONG], now=NOON)) == [LONG]


def test_half_the_energy_is_to_be_expected_of_those_who_take_half() -> None:
    (expected,) = RECORD.expected([LONG], now=NOON)

    assert expected.energy_wh == 10_000
    assert (expected.id, expected.arrives) == (LONG.id, LONG.arrives)
