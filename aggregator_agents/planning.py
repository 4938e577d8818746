"""From sessions to a charging plan: the cheapest one for the drivers within fuse and chargers. Pure.

    minimise    sum_it (price + tariff_t + waiting x hours since arrival) x_it h + shortfall sum_i s_i
                + missed sum_t u_t h
    energy i    sum_t x_it h + s_i = wanted_i
    fuse t      sum_i x_it <= usable
    charger c,t sum_i in c x_it <= min(charger, safe + z_ct)
    contact t   sum_c z_ct <= spare
    corridor t  floor_t - u_t <= sum_i x_it <= ceiling_t + u_t
    bounds      0 <= x_it <= max_i x share of period t in which i is plugged

x [W] mean power of session i in period t, s [Wh] what the driver does not get, u [W] how far the plan leaves the
corridor, h length of a period [h]. z [W] what a charger draws above what it falls back to without contact: see
Site.spare_a.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from aggregator_agents.fleet import WATTS_PER_AMP, FloatArray, Session, Site
from aggregator_agents.linear_program import LinearProgram
from api_spec.period import MarketPeriod
from api_spec.tariffs import TariffPrices
from api_spec.units import Message, NonNegative, Positive, Real

_PER_MWH: Final = 1e-6
_NEGLIGIBLE: Final = 1e-9


class Valuation(Message):
    """What energy, waiting and going without are worth to drivers [EUR/MWh].

    price_eur_per_mwh : of energy at any time. waiting_eur_per_mwh_hour : what an MWh loses in worth for every hour
    after arrival. shortfall_eur_per_mwh : compensation for energy that a driver asked for and did not get.
    """

    price_eur_per_mwh: Real = 0.0
    waiting_eur_per_mwh_hour: Annotated[Positive, Field(le=1e4)] = 10.0
    shortfall_eur_per_mwh: NonNegative = 2000.0


@dataclass(frozen=True)
class Corridor:
    """Where the site's power should stay, (period,) each.

    ceiling_w, floor_w : [W]. missed_eur_per_mwh : price of leaving, per MWh outside.
    """

    ceiling_w: FloatArray
    floor_w: FloatArray
    missed_eur_per_mwh: FloatArray


@dataclass(frozen=True)
class Plan:
    """power_w : (session, period) mean power [W]. shortfall_wh : (session,) [Wh]. cost_eur : to drivers, all in all."""

    sessions: tuple[Session, ...]
    power_w: FloatArray
    shortfall_wh: FloatArray
    cost_eur: float

    @cached_property
    def total_w(self) -> FloatArray:
        """(period,) power of the site [W]."""
        total: FloatArray = self.power_w.sum(axis=0)
        return total


def plan(
    site: Site,
    sessions: Sequence[Session],
    period: MarketPeriod,
    value: Valuation,
    *,
    corridor: Corridor | None = None,
    tariff_eur_per_mwh: FloatArray | None = None,
) -> Plan:
    """The cheapest plan; the equations stand above. Raises NoPlan where the solver fails (never for want of room).

    tariff_eur_per_mwh : (period,) what energy costs in each period on top; absent = nothing.
    """
    waited = [waited_h(each, period) for each in sessions]
    price = value.price_eur_per_mwh + (0.0 if tariff_eur_per_mwh is None else tariff_eur_per_mwh)
    cost = [price + value.waiting_eur_per_mwh_hour * hours for hours in waited]
    power, shortfall = _solved(site, sessions, period, cost, value.shortfall_eur_per_mwh, corridor)
    worth = sum(float((each * own).sum()) for each, own in zip(cost, power, strict=True)) * period.hours
    cost_eur = _PER_MWH * (worth + value.shortfall_eur_per_mwh * float(shortfall.sum()))
    return Plan(tuple(sessions), power, shortfall, cost_eur)


def tariff_on(period: MarketPeriod, known: TariffPrices | None) -> FloatArray:
    """(period,) energy price of a tariff [EUR/MWh]; where it is not known, the mean of what is; 0 without a tariff."""
    if known is None:
        return np.zeros(period.count)
    prices = np.array(known.energy_eur_per_mwh, dtype=np.float64)
    at = np.array([(start - known.period.start) // known.period.resolution for start in period.starts()])
    inside = (at >= 0) & (at < len(prices))
    found: FloatArray = np.where(inside, prices[np.clip(at, 0, len(prices) - 1)], prices.mean())
    return found


def waited_h(session: Session, period: MarketPeriod) -> FloatArray:
    """(period,) hours from arrival to the middle of the time at the plug in each period."""
    middle = np.arange(period.count) + 0.5
    arrival_h = (session.arrives - period.start).total_seconds() / 3600
    hours: FloatArray = np.maximum(middle * period.hours - arrival_h, 0.0)
    return hours


def _solved(
    site: Site,
    sessions: Sequence[Session],
    period: MarketPeriod,
    cost_eur_per_mwh: Sequence[FloatArray],
    shortfall_eur_per_mwh: float,
    corridor: Corridor | None,
) -> tuple[FloatArray, FloatArray]:
    """(session, period) power [W] and (session,) shortfall [Wh]."""
    if not sessions:
        return np.zeros((0, period.count)), np.zeros(0)
    lp = LinearProgram()
    at_charger: dict[tuple[str, int], list[int]] = defaultdict(list)
    at_site: dict[int, list[int]] = defaultdict(list)
    place: dict[int, tuple[int, int]] = {}
    missing: list[int] = []
    for i, session in enumerate(sessions):
        share = session.plugged(period)
        own = []
        for t in np.flatnonzero(share > _NEGLIGIBLE).tolist():
            cost = float(cost_eur_per_mwh[i][t]) * period.hours
            column = lp.column(cost=cost, upper=session.max_w * float(share[t]))
            own.append(column)
            place[column] = (i, t)
            at_site[t].append(column)
            at_charger[site.charger_of(session.plug).id, t].append(column)
        missing.append(lp.column(cost=shortfall_eur_per_mwh))
        weights = [period.hours] * len(own) + [1.0]
        lp.row([*own, missing[-1]], weights, low=session.energy_wh, high=session.energy_wh)
    for columns in at_site.values():
        lp.row(columns, [1.0] * len(columns), high=site.usable_w)
    most_a = {each.id: each.max_a for each in site.chargers}
    above_safe: dict[int, list[int]] = defaultdict(list)
    for (charger, t), columns in at_charger.items():
        above_safe[t].append(lp.column(cost=0.0, upper=(most_a[charger] - site.floor_a) * WATTS_PER_AMP))
        weights = [1.0] * len(columns) + [-1.0]
        lp.row([*columns, above_safe[t][-1]], weights, high=site.floor_a * WATTS_PER_AMP)
    for columns in above_safe.values():
        lp.row(columns, [1.0] * len(columns), high=site.spare_a * WATTS_PER_AMP)
    if corridor is not None:
        _keep_corridor(lp, corridor, at_site, period)
    values = lp.solve()
    power = np.zeros((len(sessions), period.count))
    for column, (i, t) in place.items():
        power[i, t] = max(0.0, values[column])
    return power, np.maximum(values[missing], 0.0)


def _keep_corridor(lp: LinearProgram, corridor: Corridor, at_site: dict[int, list[int]], period: MarketPeriod) -> None:
    for t, columns in at_site.items():
        cost = float(corridor.missed_eur_per_mwh[t]) * period.hours
        low, high = float(corridor.floor_w[t]), float(corridor.ceiling_w[t])
        if np.isfinite(high):
            lp.row([*columns, lp.column(cost=cost)], [1.0] * len(columns) + [-1.0], high=high)
        if low > 0:
            lp.row([*columns, lp.column(cost=cost)], [1.0] * len(columns) + [1.0], low=low, high=np.inf)
