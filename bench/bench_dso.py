"""The DSO's decision before one gate: six weeks of quarter-hours of every bus, 100 scenarios of 96 periods.

forecast : like days and scenarios of all buses. power flows : AC, of every scenario and period. in all : with limits
and requests. us per flow : of one period of one scenario. arrays : what is held at once for currents and voltages.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np

from api_spec.case import Case, Injection
from api_spec.grid_metering import GridReading
from api_spec.period import MarketPeriod
from bench.markets import PERIODS
from bench.measuring import Options, Row, best_of, progress
from dso_agents.agent import DsoConfig
from dso_agents.deciding import Knowledge, decide, expected_load
from dso_agents.likely import likely_day
from dso_agents.meter_history import MeterHistory
from dso_agents.own_load import Connected
from market.network import Grid

SIZES: Final = ((33, 100), (233, 100), (1_000, 100))
DAYS: Final = 42


@dataclass(frozen=True)
class SameDay:
    """A profile that stands for any day."""

    load: tuple[Injection, ...]

    def injections(self, period: MarketPeriod) -> tuple[Injection, ...]:
        return self.load


def run(options: Options) -> Iterator[Row]:
    for buses, offers in options.chosen(SIZES[:2] if options.quick else SIZES):
        progress(f"DSO: {buses} buses")
        yield _measured(options.case(buses, offers))


def _measured(case: Case) -> Row:
    config, period = DsoConfig(feeder="risoe"), case.market_period
    known = Knowledge(Grid.of(case.network), SameDay(case.baseline), history=metered(case.baseline, period))
    now = period.start - timedelta(hours=8)
    connected = Connected.of(known.grid, case.baseline, period.count)
    learnt, load = best_of(lambda: expected_load(known, config, period, profile=case.baseline, now=now))
    assert load is not None, "every bus has a meter"
    flows, day = best_of(lambda: likely_day(connected, period, load), most=3)
    whole, decision = best_of(lambda: decide(known, config, period, now=now), most=3)
    held = (day.scenarios.current_a, day.scenarios.lowest_pu, day.scenarios.highest_pu)
    return {
        "buses": str(len(case.network.buses)),
        "forecast s": str(learnt),
        "power flows s": str(flows),
        "in all s": str(whole),
        "us per flow": f"{flows.seconds / load.p_w.shape[0] / PERIODS * 1e6:.0f}",
        "arrays MB": f"{sum(each.nbytes for each in held) / 1e6:.0f}",
        "requests": str(len(decision.choices)),
    }


def metered(load: tuple[Injection, ...], period: MarketPeriod) -> MeterHistory:
    """Six weeks that stray around a day: together, by bus and day, and by quarter-hour."""
    draw = np.random.default_rng(7)
    history = MeterHistory(keep=timedelta(days=DAYS + 1))
    common = draw.lognormal(0.0, 0.1, DAYS)
    for each in load:
        level = common * draw.lognormal(0.0, 0.15, DAYS)
        power_w = (level[:, None] * np.array(each.p_w) * draw.gamma(15.0, 1 / 15.0, (DAYS, period.count))).ravel()
        start = period.start - timedelta(days=DAYS)
        values = tuple(power_w.tolist())
        reading = GridReading(
            meter=each.bus, bus=each.bus, quantity="p_w", start=start, resolution=period.resolution, values=values
        )
        history.add([reading])
    return history
