"""Load, sun and heat pumps on one network: what is expected of them, and what they really do. Pure."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from math import acos, tan
from typing import Final

import numpy as np

from api_spec.case import Injection
from api_spec.defects import unknown
from api_spec.grid import Network, Phase
from api_spec.period import MarketPeriod
from market.errors import NoLoadForPeriod, NotOnNetwork
from market.network.model import FloatArray, IntArray
from market.network.sources import GridSource
from market.network.surroundings.chance import drawn
from market.network.surroundings.table import HeatPumps, Panels, SurroundingsTable

_MINUTE: Final = timedelta(minutes=1)


class Surroundings:
    """Everything on a network beside the market's fleets.

    `expected` is the mean of what may happen, which anyone can know a day ahead; `actual` happens.
    """

    def __init__(self, source: GridSource, table: SurroundingsTable) -> None:
        """Around the load of a network; NotOnNetwork where the table names what it does not have."""
        self._source, self._table = source, table
        self._seed, self._left_out = table.seed or 0, frozenset(table.left_out or ())
        buses = source.network.bus_ids
        for each in (*table.pv, *table.heat_pumps):
            for bus in each.buses:
                if bus not in buses:
                    raise NotOnNetwork(unknown("bus", bus, buses, f'on network "{source.network.name}"'))
            if each.phase is not None and source.network.phases == 1:
                raise NotOnNetwork(f'network "{source.network.name}" is balanced: nothing is connected to one phase')

    @property
    def network(self) -> Network:
        """The network."""
        return self._source.network

    def expected(self, period: MarketPeriod) -> tuple[Injection, ...]:
        """Mean power at every bus and phase in every period, as a day ahead [W], [var]."""
        minutes, sky = _minutes(period), self._table.sky
        outdoor_c = self._outdoor(minutes, known=True)
        load = self._load(period)
        sun = self._sun(lambda own: own.clear_sky(sky, minutes) * sky.mean_passing, period, load)
        heat = self._heat(lambda own, _: own.mean_w(outdoor_c), period, load)
        return (*load, *sun, *heat)

    injections = expected
    """As a GridSource."""

    def actual(self, period: MarketPeriod) -> tuple[Injection, ...]:
        """What is really drawn, mean of every period of whole minutes [W], [var]."""
        minutes, seed, sky = _minutes(period), self._seed, self._table.sky
        outdoor_c = self._outdoor(minutes, known=False)
        passing = sky.passing(minutes, seed=seed) if self._table.pv else np.ones(1)

        def cycling(own: HeatPumps, name: str) -> FloatArray:
            chance = drawn(name, seed=seed)
            phase, size = chance.random(), np.exp(own.size_std * chance.standard_normal() - own.size_std**2 / 2)
            return own.power_w(outdoor_c, minutes, phase=phase, size=float(size))

        load = self._load(period)
        sun = self._sun(lambda own: own.clear_sky(sky, minutes) * passing, period, load)
        return (*self._strayed(load, minutes, period), *sun, *self._heat(cycling, period, load))

    def ambient_c(self, period: MarketPeriod) -> FloatArray:
        """(period,) outdoor temperature as it really is."""
        return _means(self._outdoor(_minutes(period), known=False), period)

    def _load(self, period: MarketPeriod) -> tuple[Injection, ...]:
        """The network's own load, as it is expected."""
        return tuple(each for each in self._source.injections(period) if each.bus not in self._left_out)

    def _outdoor(self, minutes: IntArray, *, known: bool) -> FloatArray:
        outdoors, offset_h = self._table.outdoors, self._table.sky.longitude_deg / 15
        series = outdoors.forecast_c if known else outdoors.actual_c
        return series(minutes, utc_offset_h=offset_h, seed=self._seed)

    def _strayed(self, load: Iterable[Injection], minutes: IntArray, period: MarketPeriod) -> Iterable[Injection]:
        """The network's own load: p exp(s z - s^2/2), z of the bus and of all buses together, and q alike."""
        table, seed = self._table, self._seed
        if table.load.std == table.common.std == 0:
            return tuple(load)
        common, mean_w = table.common.factor("load", minutes, seed=seed), self._source.mean_w()
        found = []
        for each in load:
            own = table.load.of(mean_w[each.bus, each.phase]).factor(
                f"load {each.bus} {each.phase or ''}", minutes, seed=seed
            )
            factor = _means(common * own, period)
            found.append(_injection(each.bus, each.phase, factor * each.p_w, factor * each.q_var))
        return tuple(found)

    def _sun(
        self, gives: Callable[[Panels], FloatArray], period: MarketPeriod, load: Iterable[Injection]
    ) -> Iterable[Injection]:
        """Of panels. gives : (minute,) of their peak power."""
        for at, own in enumerate(self._table.pv):
            share = _means(gives(own), period)
            for bus, phase in own.places(_buses(load), name=f"pv {at}", seed=self._seed):
                yield _injection(bus, phase, -1e3 * own.peak_kw * share, np.zeros(period.count))

    def _heat(
        self, draws: Callable[[HeatPumps, str], FloatArray], period: MarketPeriod, load: Iterable[Injection]
    ) -> Iterable[Injection]:
        """Of heat pumps. draws : (minute,) power of one with a name [W]."""
        for at, own in enumerate(self._table.heat_pumps):
            tangent = tan(acos(own.power_factor))
            for bus, phase in own.places(_buses(load), name=f"heat pumps {at}", seed=self._seed):
                power_w = _means(draws(own, f"heat pump {at} {bus}"), period)
                yield _injection(bus, phase, power_w, power_w * tangent)


def _minutes(period: MarketPeriod) -> IntArray:
    """(minute,) all of a period, since 1970; NoLoadForPeriod where it is not of whole minutes."""
    if period.resolution % _MINUTE or period.start.second or period.start.microsecond:
        raise NoLoadForPeriod("the surroundings", _MINUTE, period.resolution)
    first = int(period.start.timestamp()) // 60
    return np.arange(first, first + period.count * (period.resolution // _MINUTE), dtype=np.intp)


def _means(by_minute: FloatArray, period: MarketPeriod) -> FloatArray:
    means: FloatArray = by_minute.reshape(period.count, -1).mean(axis=1)
    return means


def _injection(bus: str, phase: Phase | None, p_w: FloatArray, q_var: FloatArray) -> Injection:
    return Injection(bus=bus, phase=phase, p_w=tuple(p_w.tolist()), q_var=tuple(q_var.tolist()))


def _buses(load: Iterable[Injection]) -> list[str]:
    return sorted({each.bus for each in load})
