"""Delivery quality from the market's own readings: what of an ordered change arrived, how evenly and how fast."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from api_spec.period import MarketPeriod
from api_spec.quality import ServiceAttributes, attributes_of
from market.ledger.baselines.history import Metered, MeterHistory


@dataclass(frozen=True)
class Order:
    """What was ordered at one place: (period,) change [W], on a baseline [W]; periods of `resolution` from `start`."""

    start: datetime
    resolution: timedelta
    ordered_w: tuple[int, ...]
    baseline_w: tuple[int, ...]


@dataclass(frozen=True)
class Energies:
    """Of |change| [Wh]: ordered, and delivered in each period at most what was ordered."""

    ordered_wh: int
    delivered_wh: int

    @property
    def accuracy(self) -> float:
        """Delivered over ordered energy, in [0, 1]; 1 where nothing was ordered."""
        return self.delivered_wh / self.ordered_wh if self.ordered_wh else 1.0


def energies(ordered_w: Sequence[int], delivered_w: Sequence[int], resolution: timedelta) -> Energies:
    """Energies of settled periods, whole watt-hours rounded towards less. delivered_w : (period,), as settled."""
    seconds = round(resolution.total_seconds())
    ordered = sum(abs(each) for each in ordered_w) * seconds // 3600
    delivered = sum(min(abs(d), abs(f)) for d, f in zip(delivered_w, ordered_w, strict=True)) * seconds // 3600
    return Energies(ordered, delivered)


def finest(messages: Iterable[Metered], delivery: MarketPeriod) -> tuple[MeterHistory, timedelta]:
    """A place's readings of a delivery at the finest resolution that covers all of it, and that resolution.

    messages : of one place, in the order they came. Where none covers it, what there is at the delivery's resolution.
    """
    known = list(messages)
    since, until = delivery.start, delivery.end
    steps = {each.resolution for each in known} & {delivery.resolution / k for k in range(2, 3601)}
    for step in sorted(steps):
        fine = MeterHistory.of((each for each in known if each.resolution <= step), since=since, until=until)
        if fine.power_w.size and not np.isnan(fine.power_w).any():
            return fine, step
    return MeterHistory.of(known, since=since, until=until), delivery.resolution


def attributes(order: Order, history: MeterHistory, step: timedelta) -> ServiceAttributes:
    """Attributes of a delivery from readings in steps of `step`, a divisor of the order's resolution.

    Steps as long as a period say nothing of times. All is absent where nothing was metered.
    """
    fold = order.resolution // step
    starts = [order.start + k * step for k in range(len(order.ordered_w) * fold)]
    change = history.means_w(starts, step) - np.repeat(np.array(order.baseline_w, dtype=np.float64), fold)
    return attributes_of(
        [float(w) for w in order.ordered_w for _ in range(fold)],
        [None if np.isnan(each) else float(each) for each in change],
        step_s=step.total_seconds(),
        timed=fold > 1,
    )
