"""From what a DSO knows to what it asks, in one step: forecast, power flow, risk, requests. Pure.

The agent on a market, `flex-dso check` and a backtest all call `decide`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, Protocol, Self
from zlib import crc32

import numpy as np

from api_spec.case import Injection
from api_spec.ids import BusId
from api_spec.metering import BusPower, Calendar
from api_spec.period import MarketPeriod
from dso_agents.congestion import Congestion, Margins, congestion, highest_probability, likely_congestion
from dso_agents.forecast import ProfileSource, Uncertainty, forecast
from dso_agents.kinds import Aims, Choice, choices
from dso_agents.likely import LikelyDay, likely_day
from dso_agents.load_scenarios import Learning, LoadScenarios, load_scenarios
from dso_agents.meter_history import MeterHistory
from dso_agents.own_load import Connected, Traded, WithoutChargers, WithoutMarket
from dso_agents.past_days import KnowsLoad, past_days
from dso_agents.requests import Asking
from dso_agents.risk import Risk
from dso_agents.temperature import Temperature
from market.network import Grid


class Policy(Protocol):
    """What the DSO wants and how it works: a part of `dso_agents.agent.DsoConfig`."""

    @property
    def uncertainty(self) -> Uncertainty: ...  # noqa: D102
    @property
    def plans_by(self) -> Literal["margins", "risk"] | None: ...  # noqa: D102
    @property
    def margins(self) -> Margins: ...  # noqa: D102
    @property
    def asking(self) -> Asking: ...  # noqa: D102
    @property
    def nominated(self) -> tuple[BusId, ...]: ...  # noqa: D102
    @property
    def chargers_since(self) -> datetime | None: ...  # noqa: D102
    @property
    def learning(self) -> Learning: ...  # noqa: D102
    @property
    def risk(self) -> Risk: ...  # noqa: D102
    @property
    def aims(self) -> Aims: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What the DSO knows.

    profiles : load without meters. history : what meters said. traded : what aggregators nominated and were awarded in
    past deliveries. calendar : clocks and holidays of the network.
    """

    grid: Grid
    profiles: ProfileSource
    history: MeterHistory
    traded: Sequence[Traded] = ()
    calendar: Calendar = field(default_factory=Calendar)
    temperature: Temperature | None = None

    def with_market(self, traded: Sequence[Traded], calendar: Calendar) -> Self:
        """The same, and what the market says."""
        return replace(self, traded=traded, calendar=calendar)


@dataclass(frozen=True, eq=False)
class Advice:
    """What leaves its limits in a delivery, and what is asked because of it.

    learnt : whether meters had something to say; else the known profile is all there is. forecast : what the market is
    told to expect. need : the highest probability of any period that anything is outside its limits, however little is
    accepted; by margins 1 or 0. choices : requests with their reasons.
    """

    period: MarketPeriod
    learnt: bool
    forecast: tuple[Injection, ...]
    found: Congestion
    need: float
    choices: tuple[Choice, ...]


@dataclass(frozen=True, eq=False)
class Decision(Advice):
    """The same with all that it is made of. day : scenarios and their flows, too much to keep."""

    day: LikelyDay

    @property
    def advice(self) -> Advice:
        """What is worth keeping of it."""
        return Advice(self.period, self.learnt, self.forecast, self.found, self.need, self.choices)


def decide(
    known: Knowledge,
    policy: Policy,
    period: MarketPeriod,
    *,
    now: datetime,
    baselines: Iterable[BusPower] = (),
    risk: Risk | None = None,
    with_chargers: bool = False,
) -> Decision:
    """What to ask for in a delivery. Raises ForecastUnusable, and PowerFlowDiverged where the network cannot carry it.

    baselines : what aggregators nominated. risk : instead of the policy's. with_chargers : before anybody nominated:
    all that would be drawn without the market, as metered.
    """
    baselines, risk = tuple(baselines), risk or policy.risk
    profile = profile_of(known, policy, period)
    load = expected_load(known, policy, period, profile=profile, now=now, with_chargers=with_chargers)
    watched = tuple(sorted(policy.aims.exchange))
    if load is None or policy.plans_by == "margins":
        expected = (
            profile if load is None else Connected.of(known.grid, profile, period.count).injections(load.expected_w)
        )
        told = forecast(expected, policy.uncertainty)
        connected = Connected.of(known.grid, told, period.count)
        certain_w = connected.profile_w
        certain = LoadScenarios(known.grid.bus_ids, certain_w, certain_w[None], np.zeros(known.grid.buses))
        day = likely_day(connected, period, certain, baselines=baselines, watched=watched)
        found = congestion(known.grid, period, load=told, baselines=baselines, margins=policy.margins)
        asked = choices(found, day, aims=policy.aims, asking=policy.asking, risk=risk)
        need = 1.0 if found.overloads or found.violations else 0.0
        return Decision(period, load is not None, told, found, need, asked, day)
    connected = Connected.of(known.grid, profile, period.count)
    day = likely_day(connected, period, load, baselines=baselines, watched=watched)
    found = likely_congestion(day, risk=risk, derated=policy.margins.elements)
    asked = choices(found, day, aims=policy.aims, asking=policy.asking, risk=risk)
    need = highest_probability(day, derated=policy.margins.elements)
    learnt = bool(load.known_days.any())
    return Decision(period, learnt, connected.injections(load.expected_w), found, need, asked, day)


def profile_of(known: Knowledge, policy: Policy, period: MarketPeriod) -> tuple[Injection, ...]:
    """The known profile of everything that aggregators do not nominate whole."""
    return tuple(each for each in known.profiles.injections(period) if each.bus not in policy.nominated)


def expected_load(
    known: Knowledge,
    policy: Policy,
    period: MarketPeriod,
    *,
    profile: Sequence[Injection],
    now: datetime,
    with_chargers: bool = False,
) -> LoadScenarios | None:
    """The load of all buses of the grid as meters teach it; None where they have said nothing.

    Who plans by risk all the same has the known profile then, and scenarios that stray from it by `profile_error`.
    """
    source: KnowsLoad = WithoutChargers(known.history, known.traded, before=policy.chargers_since)
    if with_chargers:
        source = WithoutMarket(known.history, known.traded)
    buses, learning = known.grid.bus_ids, policy.learning
    past = past_days(source, buses, period, now=now, calendar=known.calendar, days=learning.reach_days)
    if not with_chargers:
        past = past.without(policy.nominated)
    if not past.known and policy.plans_by != "risk":
        return None
    warmth = known.temperature
    return load_scenarios(
        past,
        profile_w=Connected.of(known.grid, profile, period.count).profile_w,
        learning=learning,
        draw=np.random.default_rng([learning.seed, crc32(b"load"), int(period.start.timestamp())]),
        temperature_c=None
        if warmth is None
        else warmth.of_days(period, calendar=known.calendar, days=learning.reach_days),
    )
