"""Somebody nominates half as much again every day: that earns more for the same energy, and is named."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from api_spec.baselines import GamingFinding
from api_spec.client import or_none
from api_spec.metering import BaselineNomination, ReadingTerms
from tests.metered_street import DAY, drawn, reduction, street

FIRST = datetime(2026, 1, 3, 12, tzinfo=UTC)
DAYS = range(5, 17)
FULL = {5, 11}
"""Days of which the forecast says that 6 kW are drawn besides, and everybody offers."""


@dataclass(frozen=True)
class Played:
    """Of the other one and of the player. paid_eur, drawn_wh : in all; found : what the gaming report says."""

    paid_eur: tuple[Decimal, Decimal]
    drawn_wh: tuple[int, int]
    found: tuple[GamingFinding, GamingFinding]


async def played(folder: Path, *, factor: float) -> Played:
    """Two aggregators with 7 and 8 kW, give or take 100 W, behind 20 kW; the second nominates `factor` times that."""
    folder.mkdir()
    async with street(folder, now=FIRST) as here:
        other, player = here.aggregators
        paid, energy = dict.fromkeys(here.aggregators, Decimal(0)), dict.fromkeys(here.aggregators, 0)
        for day in DAYS:
            auction = await here.auction(day=day, load_w=6_000 if day in FULL else 0)
            expected = {other: 7_000, player: 8_000}
            nominated = {other: 7_000, player: round(factor * 8_000)}
            for client, w in nominated.items():
                await client.nominate_baseline(auction.id, BaselineNomination(buses=drawn(w, w)))
                if day in FULL:
                    await client.submit_offer(auction.id, reduction(-6_000, price=60 if client is player else 120))
            await here.clear(auction)
            here.market.clock.advance_to(auction.delivery.end)
            for client, w in expected.items():
                awards = await client.awards(auction.id) if day in FULL else ()
                ordered = sum((each.power_w[0] for each in awards), 0)
                # What is awarded of air is delivered by doing nothing; nobody draws quite what it expected.
                metered = min(w, nominated[client] + ordered) + 100 * (-1) ** (day // 4)
                reading = ReadingTerms(start=auction.delivery.start, buses=drawn(metered, metered))
                await client.submit_reading(auction.id, reading)
                energy[client] += 2 * metered
            await here.settle(auction)
            for client in here.aggregators if day in FULL else ():
                if statement := await or_none(client.statement(auction.id)):
                    paid[client] += statement.net_eur
        report = await here.operator.gaming_report("street", since=FIRST, until=FIRST + 30 * DAY)
        found: Mapping[str, GamingFinding] = {each.participant: each for each in report}
        ids = [(await client.me()).id for client in here.aggregators]
        return Played((paid[other], paid[player]), (energy[other], energy[player]), (found[ids[0]], found[ids[1]]))


async def test_air_earns_more_for_the_same_energy_and_is_named_while_the_honest_are_not(tmp_path: Path) -> None:
    """On full days 7 + 8 + 6 kW are 1 kW too much: the second reduces by that. Nominating 12 kW it sells 5 kW instead.

    It draws 7 kW on these days either way. On the ten quiet days it draws 8 of 12 kW, each time less than it said.
    """
    honest, air = await played(tmp_path / "honest", factor=1.0), await played(tmp_path / "air", factor=1.5)

    assert {each.verdict for each in honest.found} == {"inconspicuous"}
    assert [each.compared for each in honest.found] == [12, 10], "the second is ordered all evening on two days"
    assert all(abs(each.overstatement) < 0.02 for each in honest.found)
    assert air.drawn_wh == honest.drawn_wh
    assert air.paid_eur[1] > 4 * honest.paid_eur[1] > 0
    other, player = air.found
    assert (other.verdict, player.verdict) == ("inconspicuous", "overstated")
    assert player.overstatement == pytest.approx(1 / 3, abs=0.01)
    assert player.score < 3, "it moves nothing when an award is expected"
