"""Delivery quality: what of an ordered change arrived, how evenly and how fast.

Attributes of a service as the literature on electric vehicles providing it has them: accuracy, precision, activation
and ramp times.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from api_spec.period import MarketPeriod
from api_spec.quality import ServiceAttributes
from market.ledger.baselines.history import FloatArray, Metered, MeterHistory

RESPONSE: Final = 0.1
"""Part of the order beyond which a response counts as begun; the ramp is counted from here to FULL."""
FULL: Final = 0.9


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

    The change is counted in the direction of the order: change = +-(metered - baseline). accuracy = sum of change over
    sum of |order|, precision = standard deviation of (change - |order|) over mean |order|, both over steps with an
    order and not capped. Times, of the first run of one order after nothing was ordered: steps that are as long as a
    period say nothing of them. Steps that were not metered are left out; all is absent where nothing was.
    """
    fold = order.resolution // step
    starts = [order.start + k * step for k in range(len(order.ordered_w) * fold)]
    ordered = np.repeat(np.array(order.ordered_w, dtype=np.float64), fold)
    baseline = np.repeat(np.array(order.baseline_w, dtype=np.float64), fold)
    change = np.where(ordered < 0, -1.0, 1.0) * (history.means_w(starts, step) - baseline)
    inside = (ordered != 0) & ~np.isnan(change)
    if not inside.any():
        return ServiceAttributes()
    size = np.abs(ordered[inside])
    activation, up = (None, None) if fold == 1 else _into(ordered, baseline, history.means_w(starts, step), step)
    down = None if fold == 1 else _out_of(ordered, baseline, history.means_w(starts, step), step)
    return ServiceAttributes(
        accuracy=round(float(np.clip(change[inside].sum() / size.sum(), -1000, 1000)), 6),
        precision=round(float((change[inside] - size).std() / size.mean()), 6),
        activation_s=activation,
        ramp_up_w_per_s=up,
        ramp_down_w_per_s=down,
    )


def _into(
    ordered: FloatArray, baseline: FloatArray, metered: FloatArray, step: timedelta
) -> tuple[float | None, float | None]:
    """Activation time [s] and speed of the ramp into the first order [W/s]."""
    first = int((ordered != 0).argmax())
    size, share = abs(ordered[first]), _share(ordered[first], baseline, metered)
    end = _end_of(ordered, first)
    begun = _first(share[first:end] > RESPONSE)
    full = _first(share[first:end] >= FULL)
    if begun is None:
        return None, None
    seconds = step.total_seconds()
    speed = None if full is None else (FULL - RESPONSE) * size / ((full - begun + 1) * seconds)
    return begun * seconds, None if speed is None else round(float(speed), 3)


def _out_of(ordered: FloatArray, baseline: FloatArray, metered: FloatArray, step: timedelta) -> float | None:
    """Speed of the ramp out of the first order [W/s]; None where another follows at once or the delivery ends."""
    first = int((ordered != 0).argmax())
    end = _end_of(ordered, first)
    if end == ordered.size or ordered[end] != 0:
        return None
    share = _share(ordered[first], baseline, metered)[end:]
    left, gone = _first(share < FULL), _first(share <= RESPONSE)
    if left is None or gone is None:
        return None
    return round(float((FULL - RESPONSE) * abs(ordered[first]) / ((gone - left + 1) * step.total_seconds())), 3)


def _share(order: float, baseline: FloatArray, metered: FloatArray) -> FloatArray:
    """Change over order, (step,); NaN compares as not there yet."""
    share: FloatArray = (metered - baseline) / order
    return share


def _end_of(ordered: FloatArray, first: int) -> int:
    """The first step after `first` in which another amount is ordered."""
    other = _first(ordered[first:] != ordered[first])
    return ordered.size if other is None else first + other


def _first(those: np.ndarray) -> int | None:
    return int(those.argmax()) if those.any() else None
