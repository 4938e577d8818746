"""Metrics at an address of their own: what the process has counted, and where the market stands when it is asked.

The address is not the market's: how many orders come in is the operator's business until publication.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import get_args

from prometheus_client import Gauge, Metric, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Engine, QueuePool
from sqlalchemy.exc import SQLAlchemyError

from api_spec.auction import AuctionState
from market.clock import Clock
from market.logs import log
from market.metrics import REGISTRY
from market.workflow.condition import Standing, standing


class MarketCollector(Collector):
    """Reads the database at each scrape; where it does not answer, that is what is told."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        """Of one market."""
        self._engine, self._clock = engine, clock

    def collect(self) -> Iterable[Metric]:
        """Metrics as they are now."""
        yield from _pool(self._engine)
        up = GaugeMetricFamily("flexmarket_database_up", "Whether the database answered this scrape")
        try:
            found: Standing | None = standing(now=self._clock.now(), engine=self._engine)
        except SQLAlchemyError as failure:
            log.error("scrape", error=type(failure).__name__, exc_info=failure)
            found = None
        up.add_metric([], 1 if found else 0)
        yield up
        if found is not None:
            yield from _auctions(found)
            yield GaugeMetricFamily(
                "flexmarket_webhook_backlog", "Deliveries to webhooks that are due", value=found.undelivered
            )


@contextlib.contextmanager
def metrics_served(engine: Engine, clock: Clock, *, host: str, port: int) -> Iterator[str]:
    """Serve /metrics on an address of its own, in threads of this process; gives the address.

    port : 0 takes a free one. Raises OSError where it is taken. One market per process at a time.
    """
    collector = MarketCollector(engine, clock)
    server, thread = start_http_server(port, addr=host, registry=REGISTRY)
    try:
        REGISTRY.register(collector)
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        with contextlib.suppress(KeyError):
            REGISTRY.unregister(collector)
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def measured_depth(gauge: Gauge, depth: Callable[[], float]) -> Iterator[None]:
    """A gauge that shows a depth while the block runs, and nothing afterwards."""
    gauge.set_function(depth)
    try:
        yield
    finally:
        gauge.set_function(lambda: 0)


def _auctions(found: Standing) -> Iterator[Metric]:
    states = GaugeMetricFamily("flexmarket_auctions", "Auctions by state", labels=["state"])
    for state in get_args(AuctionState):
        states.add_metric([state], found.states.get(state, 0))
    yield states
    yield GaugeMetricFamily(
        "flexmarket_auctions_due", "Auctions whose gate's time has come, until they are published", value=found.due
    )
    yield GaugeMetricFamily(
        "flexmarket_auctions_overdue_seconds",
        "Since when the first of them has been due",
        value=found.overdue / timedelta(seconds=1),
    )


def _pool(engine: Engine) -> Iterator[Metric]:
    pool = engine.pool
    if isinstance(pool, QueuePool):
        connections = GaugeMetricFamily(
            "flexmarket_database_connections", "Connections of this process", labels=["state"]
        )
        connections.add_metric(["in_use"], pool.checkedout())
        connections.add_metric(["idle"], pool.checkedin())
        yield connections
