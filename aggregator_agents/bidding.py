"""From plans to what is put on the market: the nominated baseline, and an offer of what it could be instead. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from aggregator_agents.fleet import FloatArray, Session, Site
from aggregator_agents.planning import Corridor, Plan, Valuation, earliest, latest, plan
from api_spec.flexibility import EnvelopeTerms
from api_spec.metering import BusPower
from api_spec.period import MarketPeriod
from api_spec.units import EurPerMwh, Fraction, Message

DEPTHS: Final = (0.25, 0.5, 0.75, 1.0)
_DELIVERABLE: Final = 0.5  # of the reduction that was asked of the plan; less is not worth an offer


class Asking(Message):
    """How the aggregator asks.

    share : part of the flexibility that is offered; the rest covers drivers who stray from what they said. floor_eur_
    per_mwh : the least that is asked, for wear and effort.
    """

    share: Annotated[Fraction, Field(gt=0)] = 0.9
    floor_eur_per_mwh: Annotated[EurPerMwh, Field(ge=0)] = Decimal(5)


def nominated(site: Site, planned: Plan) -> BusPower:
    """The plan as a baseline, in whole watts."""
    return BusPower(bus=site.bus, power_w=tuple(int(each) for each in np.rint(planned.total_w)))


def offer(
    site: Site,
    sessions: Sequence[Session],
    period: MarketPeriod,
    value: Valuation,
    *,
    baseline: BusPower,
    window: tuple[bool, ...],
    asking: Asking,
) -> EnvelopeTerms | None:
    """What the site can do instead of its baseline, and its price; None where it can do nothing in the window.

    baseline : as nominated. window : the periods in which a DSO asks for something; the plan is re-solved with less
    power there, and what that costs drivers, per MWh of change, is the price. Payback stands inside the envelope, so
    that the market prices where it falls.
    """
    usual = plan(site, sessions, period, value)
    price = reduction_price(site, sessions, period, value, usual=usual, window=window)
    if price is None:
        return None
    ask = max(Decimal(f"{price:.2f}"), asking.floor_eur_per_mwh)
    base = np.array(baseline.power_w, dtype=np.float64)
    energy_wh = np.array([each.energy_wh for each in sessions]) - usual.shortfall_wh
    early, late = (extreme(site, sessions, period, energy_wh) for extreme in (earliest, latest))
    running = np.cumsum(base) * period.hours
    most = _most_w(site, sessions, period)
    power_min, power_max = -asking.share * base, asking.share * (most - base)
    energy_min = asking.share * (np.cumsum(late) * period.hours - running)
    energy_max = asking.share * (np.cumsum(early) * period.hours - running)
    return EnvelopeTerms(
        kind="envelope",
        bus=site.bus,
        power_w_min=_towards_zero(np.minimum(power_min, 0)),
        power_w_max=_towards_zero(np.maximum(power_max, 0)),
        energy_wh_min=_towards_zero(np.minimum(energy_min, 0)),
        energy_wh_max=_towards_zero(np.maximum(energy_max, 0)),
        price_eur_per_mwh=ask,
    )


def reduction_price(
    site: Site,
    sessions: Sequence[Session],
    period: MarketPeriod,
    value: Valuation,
    *,
    usual: Plan,
    window: tuple[bool, ...],
) -> float | None:
    """Highest average cost to drivers of a change, over reductions of growing depth [EUR/MWh of |change|].

    Cost is convex in depth, so the deepest is the dearest on average; the other depths are solved because a deep
    reduction may not be deliverable at all. None where the plan has nothing in the window that can move.
    """
    inside = np.array(window)
    prices = []
    for depth in DEPTHS:
        asked = depth * usual.total_w[inside].sum()
        if asked <= 0:
            return None
        ceiling = np.where(inside, (1 - depth) * usual.total_w, np.inf)
        missed = value.shortfall_eur_per_mwh / 2  # below shortfall: no driver goes without for an offer
        other = plan(site, sessions, period, value, corridor=Corridor.below(ceiling, missed_eur_per_mwh=missed))
        change = other.total_w - usual.total_w
        if -change[inside].sum() < _DELIVERABLE * asked:
            break
        moved_mwh = np.abs(change).sum() * period.hours * 1e-6
        prices.append((other.cost_eur - usual.cost_eur) / moved_mwh)
    return max(prices, default=None)


def _most_w(site: Site, sessions: Sequence[Session], period: MarketPeriod) -> FloatArray:
    """(period,) the most that vehicles at the plugs and the fuse allow [W]."""
    most = np.zeros(period.count)
    for each in sessions:
        most += each.max_w * each.plugged(period)
    return np.minimum(most, site.usable_w)


def _towards_zero(values: FloatArray) -> tuple[int, ...]:
    """Whole watts or watt-hours, never more than there is."""
    return tuple(int(each) for each in np.trunc(values))
