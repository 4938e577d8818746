"""What drivers say stays at the aggregator: everything that its agent sends to a market, read word by word."""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import httpx
import pytest

import aggregator_agents.agent
import aggregator_agents.place
from aggregator_agents.agent import EvAggregator
from aggregator_agents.drivers.wishes import Stay, Wish, sessions_with_wishes
from aggregator_agents.fleet import Session
from aggregator_agents.sessions import announced
from tests.integration.test_aggregator_agent import DELIVERY, FLEET, GATE, NOON, Place, place

__all__ = ["place"]
SECRET_WH = 7_654.0
DEPARTS = DELIVERY.start + timedelta(hours=3, minutes=37)


async def test_a_market_hears_of_no_plug_no_session_and_no_wish(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """From nomination to readings, with three drivers who said something; it hears their energy together."""
    said = Wish(departs=DEPARTS, energy_wh=SECRET_WH, priority=True, wh_per_km=187)
    seen: list[Session] = []

    def wished(*given: Any, **more: Any) -> tuple[Session, ...]:
        usual: Iterable[Session] = announced(*given, **more)
        sessions = sessions_with_wishes(usual, {Stay(each.plug, each.id): said for each in announced(*given, **more)})
        seen.extend(sessions)
        return sessions

    sent: list[str] = []
    send = httpx.AsyncClient.send

    async def recorded(self: httpx.AsyncClient, request: httpx.Request, **more: Any) -> httpx.Response:
        sent.append(f"{request.method} {request.url} {request.headers} {request.content.decode()}")
        return await send(self, request, **more)

    for module in (aggregator_agents.agent, aggregator_agents.place):
        monkeypatch.setattr(module, "announced", wished)
    agent = EvAggregator.build(place.fleet, FLEET)
    await agent.cycle(NOON)
    await place.ask()
    place.market.clock.advance_to(GATE - timedelta(minutes=10))
    monkeypatch.setattr(httpx.AsyncClient, "send", recorded)
    await agent.cycle(place.market.clock.now())
    monkeypatch.setattr(httpx.AsyncClient, "send", send)
    place.market.clock.advance_to(GATE)
    await place.operator.clear(place.auction)
    monkeypatch.setattr(httpx.AsyncClient, "send", recorded)
    for quarter in range(17):
        now = DELIVERY.start + quarter * DELIVERY.resolution
        place.market.clock.advance_to(now)
        await agent.cycle(now)
        await agent.control(now)

    baseline = await place.fleet.baseline(place.auction)
    assert {each.energy_wh for each in seen} == {SECRET_WH}, "the wishes were in the plans"
    assert sum(baseline.buses[0].power_w) / 4 == pytest.approx(3 * SECRET_WH, rel=0.01)
    wrote = {re.sub(r".*/", "", each.split()[1]) for each in sent if each.startswith(("POST", "PUT"))}
    assert {"offers", "readings"} <= wrote
    everything = "\n".join(sent)
    for each in {each.plug for each in seen} | {each.id for each in seen}:
        assert each not in everything
    for word in ("7654", "priority", "wh_per_km", "departs", "session", "plug", DEPARTS.isoformat()[:16]):
        assert word not in everything, word
