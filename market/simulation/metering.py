"""Instruments in a DSO's network: what they make of the truth, and when it arrives.

A reading is the truth's mean over a step, times what its instrument is off by (normal, three standard deviations are
its accuracy class), unless the instrument is bad, silent, or the reading is lost. All of it is a function of seed,
instrument and time, so that readings are the same in whatever order they are taken.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from api_spec.defects import unknown
from api_spec.grid_metering import QUANTITIES, GridReading
from api_spec.period import MarketPeriod
from market.errors import NotOnNetwork
from market.network import Grid, OperatingPoints
from market.network.model import FloatArray
from market.network.operating_point import PowerFlow
from market.simulation.instrument_errors import InstrumentDay, chance_of, off_by
from market.simulation.measuring_points import Channel, at_buses, at_substations, true_values
from market.simulation.metering_table import Instruments, MeteringTable, SmartMeters
from market.simulation.participant import HasConnections, Participant, ReadsMeters
from market.simulation.scenario import BadScenario, Scenario

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_PLACE: Final = {
    "meter": pa.string(),
    "bus": pa.string(),
    "element": pa.string(),
    "end": pa.string(),
    "phase": pa.string(),
    "start": pa.timestamp("us", tz="UTC"),
    "resolution_s": pa.int64(),
    "accuracy_class": pa.float64(),
}


class Flows(Protocol):
    """What really flows."""

    def __call__(self, steps: MarketPeriod, *, fleets: bool) -> OperatingPoints:
        """Of steps that are over; with or without what fleets draw."""
        ...


@dataclass(frozen=True)
class Arriving:
    """Where metering stands. until : what is measured. waiting : readings that are on their way, and until when."""

    until: datetime
    waiting: tuple[tuple[datetime, GridReading], ...] = ()


class Metering:
    """All instruments of a network."""

    def __init__(
        self, table: MeteringTable, grid: Grid, customers: Iterable[str], *, zone: ZoneInfo, begins: datetime, seed: int
    ) -> None:
        """On a network; NotOnNetwork where the table names what it does not have.

        customers : buses where something is connected. begins : when the first fleet is there.
        """
        self.begins = Arriving(begins - table.history_days * _DAY)
        self._families: list[_Family] = []
        if table.smart is not None:
            buses = _with_meters(table.smart, sorted(set(customers)), seed)
            _refuse_strangers("bus", buses, grid.bus_ids, grid)
            channels = tuple(at_buses(buses, table.smart.quantities, grid))
            self._families.append(_Family(table.smart, channels, zone, seed))
        if table.substations is not None:
            _refuse_strangers("element", table.substations.elements or (), grid.branch_ids, grid)
            channels = tuple(at_substations(table.substations.elements, table.substations.quantities, grid))
            self._families.append(_Family(table.substations, channels, zone, seed))

    def measured(self, flows: Flows, before: Arriving, now: datetime) -> tuple[Arriving, tuple[GridReading, ...]]:
        """Measure what ended up to `now`; where metering stands then, and what has arrived by then."""
        on_their_way = list(before.waiting)
        for family in self._families:
            on_their_way += family.measured(flows, before.until, now)
        arrived = tuple(reading for at, reading in on_their_way if at <= now)
        return Arriving(now, tuple(each for each in on_their_way if each[0] > now)), arrived


@dataclass(frozen=True, eq=False)
class _Family:
    """Instruments that measure and send alike."""

    table: Instruments
    channels: tuple[Channel, ...]
    zone: ZoneInfo
    seed: int

    @property
    def meters(self) -> tuple[str, ...]:
        """Names of the instruments, in their order."""
        return tuple(dict.fromkeys(each.meter for each in self.channels))

    def measured(self, flows: Flows, since: datetime, now: datetime) -> Iterator[tuple[datetime, GridReading]]:
        """Readings of the steps that ended after `since` up to `now`, and when they arrive."""
        step = self.table.resolution
        start, end = (_EPOCH + (each - _EPOCH) // step * step for each in (since, now))
        while start < end and self.channels:
            # Chance has UTC days, and readings are sent by local days.
            utc_day_ends = _EPOCH + ((start - _EPOCH) // _DAY + 1) * _DAY
            until = min(end, utc_day_ends, self._local_day_ends(start))
            steps = MarketPeriod(start=start, resolution=step, count=(until - start) // step)
            arrives = self._arrives(steps)
            for reading in self._readings(flows, steps):
                yield arrives, reading
            start = until

    def _local_day_ends(self, instant: datetime) -> datetime:
        """In UTC; zones lie apart by quarter-hours, so that a longer step that begins on the day belongs to it."""
        local = instant.astimezone(self.zone)
        tomorrow = datetime.combine(local.date() + _DAY, time(), self.zone).astimezone(UTC)
        return _EPOCH - (_EPOCH - tomorrow) // self.table.resolution * self.table.resolution

    def _arrives(self, steps: MarketPeriod) -> datetime:
        at_h = self.table.daily_at_h
        if at_h is None:
            return steps.end + self.table.delay
        tomorrow = datetime.combine(steps.start.astimezone(self.zone).date() + _DAY, time(), self.zone)
        # By the clock on the wall: 6 o'clock is not six hours after midnight on two days of the year.
        return (tomorrow + timedelta(hours=at_h)).astimezone(UTC) + self.table.delay

    def _readings(self, flows: Flows, steps: MarketPeriod) -> Iterator[GridReading]:
        """Of steps within one UTC day."""
        day, first = divmod(steps.start - _EPOCH, _DAY)
        within = slice(first // steps.resolution, first // steps.resolution + steps.count)
        chances = [InstrumentDay.drawn(self.table, meter, day, self.seed) for meter in self.meters]
        values = self._values(flows, steps, chances, within)
        for at, channel in enumerate(self.channels):
            lost = chances[channel.instrument].lost[within]
            yield GridReading(
                meter=channel.meter,
                bus=channel.bus,
                element=channel.element,
                end=channel.end,
                phase=channel.phase,
                quantity=channel.quantity,
                start=steps.start,
                resolution=steps.resolution,
                values=tuple(None if gone else value for value, gone in zip(values[:, at].tolist(), lost, strict=True)),
                accuracy_class=self.table.accuracy_class,
            )

    def _values(self, flows: Flows, steps: MarketPeriod, chances: Sequence[InstrumentDay], within: slice) -> FloatArray:
        """(step, channel) as the instruments have it."""
        values = true_values(flows(steps, fleets=True), self.channels)
        stuck = [at for at, each in enumerate(self.channels) if chances[each.instrument].kind == "stuck"]
        if stuck:
            opening = MarketPeriod(
                start=_EPOCH + (steps.start - _EPOCH) // _DAY * _DAY, resolution=steps.resolution, count=1
            )
            values[:, stuck] = true_values(flows(opening, fleets=False), [self.channels[at] for at in stuck])
        off = np.array([off_by(self.table, each, self.seed) for each in self.channels])
        powers = np.array([each.quantity in ("p_w", "q_var") for each in self.channels])
        factor = np.stack([chances[each.instrument].factor[within] for each in self.channels], axis=1)
        measured: FloatArray = values * off * np.where(powers, factor, 1.0)
        return measured


class HeadEnd:
    """Where all readings of a simulated network come together, and go on to whoever reads meters."""

    def __init__(
        self, scenario: Scenario, participants: Mapping[str, Participant], arriving: Arriving | None = None
    ) -> None:
        """Of a scenario with a table [metering]; BadScenario where that names what the network does not have.

        arriving : where it goes on from; None = from the beginning.
        """
        assert scenario.metering is not None, "the scenario meters nothing"
        self._around, self._begins = scenario.around(), scenario.begins
        self._grid = Grid.of(self._around.network)
        self._flow = PowerFlow(self._grid)
        first = MarketPeriod(start=scenario.begins, resolution=timedelta(minutes=15), count=1)
        connected = {each.bus for each in self._around.expected(first)}
        for participant in participants.values():
            if isinstance(participant, HasConnections):
                connected |= participant.connections().keys()
        try:
            self._metering = Metering(
                scenario.metering, self._grid, connected, zone=scenario.zone, begins=scenario.begins, seed=scenario.seed
            )
        except NotOnNetwork as failure:
            raise BadScenario(f"metering: {failure}") from failure
        self.arriving = arriving or self._metering.begins

    def hand_out(self, participants: Mapping[str, Participant], now: datetime) -> tuple[GridReading, ...]:
        """Measure up to `now`, and hand what has arrived to everyone who reads meters, and back."""

        def flows(steps: MarketPeriod, *, fleets: bool) -> OperatingPoints:
            p_w, q_var = self._grid.consumption(self._around.actual(steps), steps.count)
            # Before the scenario begins there is no fleet.
            for participant in participants.values() if fleets and steps.end > self._begins else ():
                for bus, power_w in participant.drawn_w(steps).items():
                    at = self._grid.connected(bus, None)
                    p_w[:, at] += power_w[:, None] / len(at)
            return self._flow.solve(p_w, q_var)

        self.arriving, arrived = self._metering.measured(flows, self.arriving, now)
        if arrived:
            for participant in participants.values():
                if isinstance(participant, ReadsMeters):
                    participant.meters(arrived)
        return arrived


def readings_table(readings: Iterable[GridReading]) -> pa.Table:
    """A row for each place and step, in the form that `flex-dso` reads; a quantity that is not measured is absent."""
    rows: dict[tuple[Any, ...], dict[str, float | None]] = {}
    for each in readings:
        for at, value in enumerate(each.values):
            start = each.start + at * each.resolution
            place = (
                each.meter,
                each.bus,
                each.element,
                each.end,
                each.phase,
                start,
                each.resolution,
                each.accuracy_class,
            )
            rows.setdefault(place, {})[each.quantity] = value
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_PLACE)
    table: dict[str, pa.Array] = {}
    for (name, kind), column in zip(_PLACE.items(), columns, strict=True):
        values = [each.total_seconds() for each in column] if name == "resolution_s" else list(column)
        table[name] = pa.array(values, kind)
    for quantity in QUANTITIES:
        table[quantity] = pa.array([row.get(quantity) for row in rows.values()], pa.float64())
    return pa.table(table)


def _with_meters(table: SmartMeters, customers: Sequence[str], seed: int) -> list[str]:
    """Those listed, or the share that comes first in an order drawn once."""
    if table.buses is not None:
        return list(table.buses)
    order = sorted(customers, key=lambda bus: chance_of(seed, f"order {bus}").random())
    return sorted(order[: round(table.share * len(order))])


def _refuse_strangers(what: str, named: Iterable[str], known: Sequence[str], grid: Grid) -> None:
    for each in named:
        if each not in known:
            raise NotOnNetwork(unknown(what, each, known, f'on network "{grid.network.name}"'))
