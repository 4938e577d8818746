"""One process for a site: stations connect to it, the cloud aggregator grants, hosted virtual aggregators act."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final
from uuid import uuid4

from websockets.asyncio.server import Server

from aggregator_agents.charging.ocpp.central import CentralSystem, Listening
from aggregator_agents.charging.ocpp.credentials import Doorkeeper
from aggregator_agents.charging.ocpp.dialect import Desk
from aggregator_agents.charging.ocpp.station import Station, StationTerms
from aggregator_agents.charging.serving.hosted import HostedAggregator
from aggregator_agents.charging.serving.settings import ServiceFile
from aggregator_agents.dispatch.cloud import CloudAggregator
from aggregator_agents.dispatch.lease import Lease, LeaseRequest
from aggregator_agents.dispatch.virtual import VirtualAggregator
from aggregator_agents.fleet import Charger

LOG: Final = logging.getLogger(__name__)


class Service:
    """Everything of a file. cloud : follows the plans of whoever has some; without one, plugs share what there is.

    stations : by charger.
    """

    def __init__(self, settings: ServiceFile, *, seconds: Callable[[], float] = time.monotonic) -> None:
        """Nothing runs before `running`. seconds : one monotonic clock for the cloud and all that is hosted."""
        self._settings, self._seconds = settings, seconds
        self.site = settings.site.site()
        self.cloud = CloudAggregator(self.site, started_s=seconds(), timing=settings.timing.leases)
        self._desk = Desk(tokens=settings.accepts, sample_s=settings.timing.sample_s)
        chargers = [each for each in self.site.chargers if each.id in settings.stations]
        self.stations = {each.id: self._station(each) for each in chargers}
        self._hosted = [self._host(each) for each in self.stations.values() if each.terms.hosted]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Server]:
        """Run while the context lasts. At its end stations are told good-bye, and go on within their last lease."""
        listen = self._settings.listen
        tls = None if listen.tls is None else listen.tls.context(listen.profile)
        doorkeeper = Doorkeeper({id: each.password_hash for id, each in self._settings.stations.items()})
        where = Listening(
            host=listen.host,
            port=listen.port,
            profile=listen.profile,
            most_bytes=listen.most_bytes,
            ping_s=listen.ping_s,
            pong_within_s=listen.pong_within_s,
        )
        if listen.exposed:
            LOG.warning("security profile 1 on %s: passwords cross the network in the clear", listen.host)
        async with CentralSystem(self.stations, doorkeeper).listen(where, tls) as server:
            loops = [asyncio.create_task(each.run()) for each in self._hosted]
            LOG.info("%d stations of %s may connect at port %d", len(self.stations), self.site.bus, port_of(server))
            try:
                yield server
            finally:
                for loop in loops:
                    loop.cancel()
                await asyncio.gather(*loops, return_exceptions=True)
                LOG.info("stopped; stations keep to their last lease until it ends, and to their floor from then on")

    async def grant(self, request: LeaseRequest) -> Lease | None:
        """The cloud's answer to a charger."""
        return self.cloud.receive(request, self._seconds())

    def _station(self, charger: Charger) -> Station:
        timing, table = self._settings.timing, self._settings.stations[charger.id]
        terms = StationTerms(
            floor_a=min(self.site.floor_a, charger.max_a),
            hosted=table.virtual_aggregator == "hosted",
            call_timeout_s=timing.call_timeout_s,
            silent_after_s=timing.silent_after_s,
        )
        return Station(charger, terms, self._desk, self.grant, seconds=self._seconds)

    def _host(self, station: Station) -> HostedAggregator:
        timing = self._settings.timing.leases
        aggregator = VirtualAggregator(
            station.charger,
            floor_a=station.terms.floor_a,
            boot_id=str(uuid4()),
            started_s=self._seconds(),
            timing=timing,
        )
        return HostedAggregator(station, aggregator, self.grant, timing=timing, seconds=self._seconds)


def port_of(server: Server) -> int:
    """Where it listens."""
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port
