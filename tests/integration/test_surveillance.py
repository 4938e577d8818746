"""The operator's surveillance report over HTTP, on books that are cleared again without each of their suppliers."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from api_spec.metering import BaselineNomination
from api_spec.problem import ProblemType
from tests.metered_street import DAY, drawn, reduction, refused, street


async def test_who_asks_more_when_nobody_can_do_without_it_is_named(tmp_path: Path) -> None:
    """Behind 20 kW; both aggregators nominate 10 kW and offer 6 kW less.

    On even days 5 kW more are forecast: 5 kW have to go, which either can give alone. On odd days 8 kW: 8 kW have to
    go, and 2 are missing without either. One asks 120 EUR/MWh always, the other 200 on odd days.
    """
    first = datetime(2026, 1, 3, 12, tzinfo=UTC)
    async with street(tmp_path, now=first) as here:
        honest, strategic = here.aggregators
        for day in range(5, 19):
            full = day % 2 == 1
            auction = await here.auction(day=day, load_w=8_000 if full else 5_000)
            for client in here.aggregators:
                await client.nominate_baseline(auction.id, BaselineNomination(buses=drawn(10_000, 10_000)))
                price = (200 if full else 110) if client is strategic else 120
                await client.submit_offer(auction.id, reduction(-6_000, price=price + day / 100))
            await here.clear(auction)
            assert (await here.operator.auction(auction.id)).state == "published"

        report = await here.operator.surveillance("street", since=first, until=first + 30 * DAY)

        ids = {(await client.me()).id: client for client in here.aggregators}
        found = {ids[each.participant]: each for each in report.suppliers}
        assert report.auctions == 14
        assert report.suppliers[0] == found[strategic]
        for each in found.values():
            assert (each.needed_periods, each.pivotal_periods, each.pivotal_auctions) == (28, 14, 7)
            assert each.pivotal_index == 0.5
        assert (found[strategic].verdict, found[honest].verdict) == ("conspicuous", "pivotal")
        assert found[strategic].asked_pivotal_eur_per_mwh == Decimal("200.11")
        assert found[honest].offered_pivotal == pytest.approx(0.6), "6 of 10 kW"
        # Without it 6 kWh of 2 h stand at most at the DSO's 800 EUR/MWh instead of its own 120.
        assert found[honest].contribution_eur > 0
        (pair,) = report.similarities
        assert (pair.auctions, pair.verdict) == (14, "inconspicuous")

        for client in (honest, here.dso):
            assert await refused(client.surveillance("street", since=first, until=first + DAY)) is ProblemType.FORBIDDEN
        too_long = here.operator.surveillance("street", since=first, until=first + 32 * DAY)
        assert await refused(too_long) is ProblemType.NOT_ADMITTED
