"""A street that a reader can compute: one lossless cable rated 100 A behind a 400 V source, four hours."""

from datetime import UTC, datetime, timedelta
from math import sqrt

from api_spec.case import Injection
from api_spec.grid import Network
from api_spec.period import MarketPeriod
from tests.small_cases import Document, line

DAY = MarketPeriod(start=datetime(2026, 1, 15, 5, tzinfo=UTC), resolution=timedelta(hours=1), count=4)
VOLT_AMPS_PER_AMP = sqrt(3) * 400


def street(*, r_ohm: float = 1e-6, rating_a: float = 100.0, min_pu: float = 0.9) -> Network:
    buses: list[Document] = [{"id": name, "nominal_v": 400.0, "min_pu": min_pu, "max_pu": 1.1} for name in ("far", "s")]
    cable = line("cable", "s", "far", r_ohm=r_ohm, x_ohm=0.0, rating_a=rating_a)
    return Network.model_validate(
        {"name": "street", "phases": 1, "source": {"bus": "s"}, "buses": buses, "lines": [cable]}
    )


def amps(*current_a: float) -> tuple[Injection, ...]:
    """Load at the far end that draws these currents at nominal voltage."""
    return (Injection(bus="far", p_w=tuple(a * VOLT_AMPS_PER_AMP for a in current_a), q_var=(0.0,) * len(current_a)),)
