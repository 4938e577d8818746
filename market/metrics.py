"""What can be counted of a running market, for Prometheus; one registry of its own per process.

No metric has an organisation, an order or a value in it: whoever reads them learns how much is going on, not who offers
what. Names follow Prometheus' rules: base units, `_total` on what only grows.
"""

from importlib.metadata import version
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)
Info("flexmarket", "The running program", registry=REGISTRY).info({"version": version("flexmarket")})

_QUICK_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SLOW_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0)

REQUESTS: Final = Counter(
    "flexmarket_requests",
    "HTTP requests answered, by template of the route",
    ("method", "route", "status"),
    registry=REGISTRY,
)
REQUEST_SECONDS: Final = Histogram(
    "flexmarket_request_seconds",
    "Time from a request's first byte to its answer's last",
    ("method", "route"),
    buckets=_QUICK_S,
    registry=REGISTRY,
)
IN_PROGRESS: Final = Gauge("flexmarket_requests_in_progress", "HTTP requests being answered", registry=REGISTRY)
PROBLEMS: Final = Counter(
    "flexmarket_problems", "Requests answered with a problem, by its type", ("type",), registry=REGISTRY
)
BODIES_REFUSED: Final = Counter(
    "flexmarket_bodies_refused", "Bodies refused before anybody asked what they mean", ("type",), registry=REGISTRY
)
ORDERS: Final = Counter(
    "flexmarket_orders",
    "Offers and requests that came in: accepted, or the type of the problem that they were refused with",
    ("kind", "outcome"),
    registry=REGISTRY,
)

GATE_LATENESS_SECONDS: Final = Histogram(
    "flexmarket_gate_lateness_seconds",
    "From gate closure to the moment at which the gate was closed",
    buckets=_SLOW_S,
    registry=REGISTRY,
)
CLEARINGS: Final = Counter(
    "flexmarket_clearings", "Clearings that ended, by status or by type of the failure", ("outcome",), registry=REGISTRY
)
CLEARINGS_RUNNING: Final = Gauge("flexmarket_clearings_running", "Clearings being computed", registry=REGISTRY)
CLEARING_SECONDS: Final = Histogram(
    "flexmarket_clearing_seconds", "Time that a clearing took", buckets=_SLOW_S, registry=REGISTRY
)
CLEARING_ITERATIONS: Final = Histogram(
    "flexmarket_clearing_iterations",
    "Linearisations until the AC optimum",
    buckets=(1, 2, 3, 5, 8, 13, 21, 34, 55, 89),
    registry=REGISTRY,
)
OFFERS_CLEARED: Final = Counter(
    "flexmarket_offers_cleared",
    "Offers in published results: accepted as a whole, or why not",
    ("outcome",),
    registry=REGISTRY,
)
SETTLEMENTS: Final = Counter("flexmarket_settlements", "Auctions settled", registry=REGISTRY)

WRITER_BACKLOG: Final = Gauge(
    "flexmarket_writer_backlog", "Orders that wait for the batch writer's next commit", registry=REGISTRY
)
"""0 until a writer runs, which gives its depth by `set_function`."""
