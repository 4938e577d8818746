"""What an aggregator expects of a day without a market, as tables for a person."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from aggregator_agents.agent import AggregatorConfig
from aggregator_agents.connection import Connection
from aggregator_agents.fleet import FloatArray, Session, Site
from aggregator_agents.offering.connection import net_w
from aggregator_agents.planning import Plan, Planner
from aggregator_agents.premises import PremisesTable
from api_spec.period import MarketPeriod


@dataclass(frozen=True, eq=False)
class Expected:
    """One site on one day. net_w, other_w : (period,) at the connection, and of all but vehicles [W]."""

    site: Site
    premises: PremisesTable
    sessions: tuple[Session, ...]
    plan: Plan
    net_w: FloatArray
    other_w: FloatArray
    hours: float


def expected(config: AggregatorConfig, period: MarketPeriod) -> Iterator[Expected]:
    """Every site of an aggregator, as it is expected when `period` begins."""
    for table in config.sites:
        for site in table.sites():
            connection = Connection(site, config.value, table.behind(site, seed=config.seed), table.prices)
            sessions = table.within(site, period, seed=config.seed)
            asked = connection.asked(sessions, period, issued=period.start)
            planned = Planner().plan(asked)
            net = net_w(asked, planned)
            yield Expected(site, table.premises, sessions, planned, net, asked.other_w, period.hours)


def tables(expected: Sequence[Expected], day: date) -> Iterator[Table]:
    """Connections; who comes; what else is behind the meter, where there is something; and power."""
    yield _connections(expected)
    yield _vehicles(expected, day)
    if any(not each.premises.empty for each in expected):
        yield _premises(expected)
    yield _power(expected)


def _connections(expected: Sequence[Expected]) -> Table:
    table = _table("Connections, per phase", "site", "fuse", "usable", "alone", "chargers", "plugs", "wired")
    for each in expected:
        site = each.site
        wired = Counter(charger.rotation for charger in site.chargers)
        table.add_row(
            site.bus,
            f"{site.fuse_a} A",
            f"{site.usable_a} A",
            f"{site.floor_a} A",
            str(len(site.chargers)),
            str(len(site.plugs)),
            ", ".join(f"{count} {rotation}" for rotation, count in wired.items()),
        )
    return table


def _vehicles(expected: Sequence[Expected], day: date) -> Table:
    table = _table(f"Vehicles on {day}, UTC", "site", "sessions", "on 1, 2, 3 phases", "feed back", "want", "unmet")
    for each in expected:
        phases = Counter(session.vehicle.phases for session in each.sessions)
        table.add_row(
            each.site.bus,
            str(len(each.sessions)),
            ", ".join(str(phases[count]) for count in (1, 2, 3)),
            str(sum(session.vehicle.discharge_a > 0 for session in each.sessions)),
            f"{sum(session.energy_wh for session in each.sessions) / 1e3:.1f} kWh",
            f"{each.plan.shortfall_wh.sum() / 1e3:.1f} kWh",
        )
    return table


def _premises(expected: Sequence[Expected]) -> Table:
    table = _table("What else is behind the meter, net", "site", "there", "draws", "gives")
    for each in expected:
        there = [f"PV {array.peak_kw:g} kW" for array in each.premises.pv]
        there += [f"{load.profile} {load.annual_kwh:g} kWh a year" for load in each.premises.loads]
        drawn, given = _energy_kwh(each.other_w, each.hours)
        table.add_row(each.site.bus, ", ".join(there) or "nothing", f"{drawn:.1f} kWh", f"{given:.1f} kWh")
    return table


def _power(expected: Sequence[Expected]) -> Table:
    table = _table("At the connection, without a market", "site", "import", "peak", "export", "highest")
    for each in expected:
        drawn, given = _energy_kwh(each.net_w, each.hours)
        table.add_row(
            each.site.bus,
            f"{drawn:.1f} kWh",
            f"{max(0.0, float(each.net_w.max())) / 1e3:.1f} kW",
            f"{given:.1f} kWh",
            f"{max(0.0, -float(each.net_w.min())) / 1e3:.1f} kW",
        )
    return table


def _energy_kwh(power_w: FloatArray, hours: float) -> tuple[float, float]:
    """Drawn and given."""
    return float(np.maximum(power_w, 0).sum()) * hours / 1e3, float(np.maximum(-power_w, 0).sum()) * hours / 1e3


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(first, title=title, title_justify="left", box=SIMPLE_HEAD)
    for name in others:
        table.add_column(name, justify="right")
    return table
