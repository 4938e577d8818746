"""Messages that come twice, late or in another order: dropped by their key, or a new version."""

from pathlib import Path
from typing import Any

import pytest

from api_spec.client import MarketRefused
from api_spec.metering import BusPower, ReadingTerms
from api_spec.problem import ProblemType
from tests.everything import OFFER
from tests.running_market import running_market
from tests.street_auction import DELIVERY, NOON, open_street


def reading(*power_w: int) -> ReadingTerms:
    return ReadingTerms(start=DELIVERY.start, buses=(BusPower(bus="far", power_w=power_w),))


async def refused(call: Any) -> ProblemType | None:
    with pytest.raises(MarketRefused) as refusal:
        await call
    return refusal.value.problem.kind


async def test_messages_that_come_twice_late_or_out_of_order(tmp_path: Path) -> None:
    """8 and 4 kW are sold against 10 kW. The later reading counts, 2 and 7 kW: 8 and 3 kWh, less 0.1 EUR of penalty."""
    with running_market(tmp_path, now=NOON) as market:
        async with open_street(market) as street:
            own = street.aggregators[0]
            assert await refused(own.submit_offer(street.auction, OFFER)) is ProblemType.BASELINE_MISSING
            await street.ask()
            await street.offer()
            again = await own.submit_offer(street.auction, OFFER, key="one")
            assert await own.submit_offer(street.auction, OFFER, key="one") == again
            assert len(await own.offers(street.auction)) == 2
            await own.withdraw_offer(again)
            assert await refused(own.submit_reading(street.auction, reading(2_000, 7_000))) is not None

            await street.clear(market)
            assert await refused(own.submit_offer(street.auction, OFFER)) is ProblemType.GATE_CLOSED
            late = await own.submit_offer(street.auction, OFFER, key="one")
            assert late == again, "what was heard before the gate is heard again"

            market.clock.advance_to(DELIVERY.end)
            first = await own.submit_reading(street.auction, reading(9_000, 9_000), key="r1")
            await own.submit_reading(street.auction, reading(2_000, 7_000), key="r2")
            assert await own.submit_reading(street.auction, reading(9_000, 9_000), key="r1") == first
            assert len(await own.readings(street.auction)) == 2, "a repeated message is no new version"
            await street.operator.settle(street.auction)
            statement = await own.statement(street.auction)
            assert [line.delivered_w for line in statement.lines] == [-8_000, -3_000]
