"""Sites and sessions of the aggregator's tests: quarter-hours from noon UTC, 690 W for every amp."""

from datetime import UTC, datetime, timedelta

import numpy as np

from aggregator_agents.fleet import FloatArray, Session, Site
from aggregator_agents.offering.record import Scenarios
from api_spec.period import MarketPeriod

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FULL_W = 16 * 690.0


def quarters(count: int) -> MarketPeriod:
    return MarketPeriod(start=NOON, resolution=timedelta(minutes=15), count=count)


def site(*, chargers: int = 1, plugs: int = 1, fuse_a: int = 63, other_a: int = 0) -> Site:
    return Site.of("lot", chargers=chargers, plugs_per_charger=plugs, fuse_a=fuse_a, charger_a=16, other_a=other_a)


def vehicle(plug: str = "lot-1-1", *, wants_wh: float = FULL_W, stays_h: float = 4, after_h: float = 0) -> Session:
    arrives = NOON + after_h * HOUR
    return Session(f"{plug} today", plug, arrives, arrives + stays_h * HOUR, wants_wh)


def scenarios(said: tuple[Session, ...], departs_h: FloatArray, energy_wh: FloatArray) -> Scenarios:
    """Of which the median departure and the mean energy are expected; (scenario, session)."""
    return Scenarios(said, departs_h, energy_wh, np.median(departs_h, axis=0), energy_wh.mean(axis=0))
