"""What a DSO's instruments have measured: readings go in as they arrive, means of any periods come out."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from api_spec.grid import Phase
from api_spec.grid_metering import End, GridReading, Quantity
from api_spec.period import MarketPeriod
from market.network.model import PHASES, FloatArray, IntArray

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KNOWN: Final = 0.5  # a mean is known where readings cover at least this share of its period
_ROUNDING: Final = 1e-9
_WHOLE: Final = 1 - 1e-6


class Channel(NamedTuple):
    """One quantity at one place: at a bus, or at the end of an element."""

    place: str
    end: End | None
    phase: Phase | None
    quantity: Quantity

    @classmethod
    def of(cls, reading: GridReading) -> Self:
        """That a reading is about."""
        return cls(reading.bus or reading.element or "", reading.end, reading.phase, reading.quantity)


class Instrument(NamedTuple):
    """What a channel was last measured with. accuracy_class : largest error [%]. resolution : of its readings."""

    accuracy_class: float
    resolution: timedelta


class MeterHistory:
    """The last `keep` of all readings and estimates, as means of slots of `step`.

    Memory is 8 bytes for each slot and channel, and does not grow with time: 20 kB a channel for 42 days of quarter-
    hours. Readings in other steps are shared out by time: an hourly mean counts for each of its four quarter-hours.
    """

    def __init__(self, *, step: timedelta = timedelta(minutes=15), keep: timedelta = timedelta(days=42)) -> None:
        """Without any reading."""
        self._step = step
        self._readings = _Window(step, keep)
        self._estimates = _Window(step, keep)
        self._instruments: dict[Channel, Instrument] = {}
        self._fresh: tuple[datetime, datetime] | None = None

    @property
    def step(self) -> timedelta:
        """The finest mean that it keeps."""
        return self._step

    @property
    def channels(self) -> tuple[Channel, ...]:
        """That readings have come of, in the order of their first."""
        return tuple(self._readings.columns)

    @property
    def newest(self) -> datetime | None:
        """The end of the last slot that anything is known of; None before the first reading."""
        return self._readings.end

    def add(self, readings: Iterable[GridReading]) -> None:
        """Keep readings; what covers a slot that is known already replaces it, a value that is missing does not."""
        for (start, resolution, count), alike in groupby(sorted(readings, key=_span), key=_span):
            series = dict[Channel, list[float]]()
            for each in alike:
                channel = Channel.of(each)
                series[channel] = [np.nan if value is None else value for value in each.values]
                self._instruments[channel] = Instrument(each.accuracy_class, resolution)
            since, until = self._fresh or (start, start)
            self._fresh = min(since, start), max(until, start + count * resolution)
            values = np.array(list(series.values()), dtype=np.float64).T
            self._readings.put(list(series), MarketPeriod(start=start, resolution=resolution, count=count), values)

    def instrument(self, channel: Channel) -> Instrument:
        """What a channel was last measured with; KeyError where it never was."""
        return self._instruments[channel]

    def take_fresh(self) -> tuple[datetime, datetime] | None:
        """From when to when readings have come since this was last asked; None where none have."""
        fresh, self._fresh = self._fresh, None
        return fresh

    def estimate(self, buses: Sequence[str], period: MarketPeriod, power_w: FloatArray) -> None:
        """Believe these bus powers more than readings. power_w : (period, bus), nan = no better than the readings."""
        self._estimates.put([Channel(bus, None, None, "p_w") for bus in buses], period, power_w)

    def power_w(self, buses: Sequence[str], period: MarketPeriod) -> FloatArray:
        """Mean power of everything connected at each bus : (period, bus) [W], consumption positive, nan = unknown.

        The estimate where there is one, else what was metered: of all phases together, or the sum of those metered.
        """
        metered = self.metered_w(buses, period)
        estimated = self._estimates.mean([Channel(bus, None, None, "p_w") for bus in buses], period)
        return np.where(np.isnan(estimated), metered, estimated)

    def metered_w(self, buses: Sequence[str], period: MarketPeriod) -> FloatArray:
        """As `power_w`, from readings alone."""
        whole = self.mean([Channel(bus, None, None, "p_w") for bus in buses], period)
        by_phase: dict[str, list[Channel]] = defaultdict(list)
        for channel in self._readings.columns:
            if channel.end is None and channel.quantity == "p_w" and channel.phase in PHASES:
                by_phase[channel.place].append(channel)
        for at, bus in enumerate(buses):
            if bus in by_phase:
                total = self.mean(by_phase[bus], period).sum(axis=1)
                whole[:, at] = np.where(np.isnan(whole[:, at]), total, whole[:, at])
        return whole

    def mean(self, channels: Sequence[Channel], period: MarketPeriod) -> FloatArray:
        """What was metered of any channels : (period, channel), nan where less than half of a period is known."""
        return self._readings.mean(channels, period)


class _Window:
    """Means of slots, in a ring where a new slot takes the place of the oldest."""

    def __init__(self, step: timedelta, keep: timedelta) -> None:
        self._step = step
        self._size = keep // step
        self._end = 0  # number of the slot after the newest, counted from the epoch
        self.columns: dict[Channel, int] = {}
        # Of every slot: the integral of what is known, and the share of the slot that it is known for.
        self._integral = np.zeros((self._size, 0), dtype=np.float32)
        self._known = np.zeros((self._size, 0), dtype=np.float32)

    @property
    def end(self) -> datetime | None:
        return _EPOCH + self._end * self._step if self._end else None

    def put(self, channels: Sequence[Channel], period: MarketPeriod, values: FloatArray) -> None:
        """Keep values : (period, channel), nan = unknown."""
        first, last = (period.start - _EPOCH) // self._step, -((_EPOCH - period.end) // self._step)
        self._reach(last)
        slots = np.arange(max(first, self._end - self._size), last)
        edges = self._times(slots, period.start) / period.resolution.total_seconds()
        share = period.resolution / self._step
        known = share * _between(~np.isnan(values), edges)
        integral = share * _between(np.nan_to_num(values), edges)
        at = np.ix_(slots % self._size, self._places(channels))
        # What covers a whole slot replaces it; parts of one, as from a meter that reports minutes, come together there.
        whole = known > _WHOLE
        self._known[at] = known + np.where(whole, 0, self._known[at])
        self._integral[at] = integral + np.where(whole, 0, self._integral[at])

    def mean(self, channels: Sequence[Channel], period: MarketPeriod) -> FloatArray:
        """(period, channel), nan = unknown."""
        found = np.full((period.count, len(channels)), np.nan)
        there = [at for at, channel in enumerate(channels) if channel in self.columns]
        first, last = (period.start - _EPOCH) // self._step, -((_EPOCH - period.end) // self._step)
        first, last = max(first, self._end - self._size), min(last, self._end)
        if not there or first >= last:
            return found
        at = np.ix_(np.arange(first, last) % self._size, self._places([channels[each] for each in there]))
        known = self._known[at].astype(np.float64)
        value = np.divide(self._integral[at], known, out=np.zeros_like(known), where=known > 0)
        covered = np.minimum(known, 1.0)
        begins = (period.start - _EPOCH - first * self._step) / self._step
        edges: FloatArray = begins + np.arange(period.count + 1, dtype=np.float64) * (period.resolution / self._step)
        weight, total = _between(covered, edges), _between(covered * value, edges)
        enough = weight >= _KNOWN * (period.resolution / self._step) - _ROUNDING
        found[:, there] = np.divide(total, weight, out=np.full_like(total, np.nan), where=enough & (weight > 0))
        return found

    def _times(self, slots: IntArray, since: datetime) -> FloatArray:
        """Edges of slots that follow each other, in seconds since a time."""
        first = ((_EPOCH + int(slots[0]) * self._step) - since).total_seconds() if len(slots) else 0.0
        edges: FloatArray = first + np.arange(len(slots) + 1, dtype=np.float64) * self._step.total_seconds()
        return edges

    def _reach(self, end: int) -> None:
        """Have room up to a slot; what was in the rows of the new ones is forgotten."""
        if end > self._end:
            fresh = np.arange(max(self._end, end - self._size), end) % self._size
            self._known[fresh] = self._integral[fresh] = 0
            self._end = end

    def _places(self, channels: Sequence[Channel]) -> IntArray:
        """Their columns; a new one for each that has none."""
        for channel in channels:
            self.columns.setdefault(channel, len(self.columns))
        if len(self.columns) > self._known.shape[1]:
            wider = ((0, 0), (0, max(len(self.columns), 2 * self._known.shape[1]) - self._known.shape[1]))
            self._known, self._integral = np.pad(self._known, wider), np.pad(self._integral, wider)
        return np.array([self.columns[channel] for channel in channels], dtype=np.intp)


def _between(steps: npt.ArrayLike, edges: FloatArray) -> FloatArray:
    """Integrals of (step, channel) values between edges that follow each other, in units of steps; 0 outside."""
    values = np.asarray(steps, dtype=np.float64)
    running = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(axis=0)])
    # Times are whole microseconds: what differs by less from a step's edge lies on it.
    inside = np.clip(np.where(np.abs(edges - edges.round()) < _ROUNDING, edges.round(), edges), 0, len(values))
    below = np.minimum(inside.astype(np.intp), len(values) - 1)
    upto: FloatArray = running[below] + (inside - below)[:, None] * values[below]
    integrals: FloatArray = np.diff(upto, axis=0)
    return integrals


def _span(reading: GridReading) -> tuple[datetime, timedelta, int]:
    return reading.start, reading.resolution, len(reading.values)
