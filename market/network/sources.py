"""Where a network and the load on it come from: a shipped feeder, files, or SimBench."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Protocol, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from api_spec.case import Injection
from api_spec.defects import defects_of, refuse, unknown
from api_spec.grid import Network, Phase
from api_spec.period import MarketPeriod
from api_spec.units import Message
from market.errors import BadLoadFile, BadNetworkFile
from market.network.feeders import Feeder, LoadDay, feeder
from market.network.profiles import Profiles, read_profiles
from market.network.readers import ReadNetwork, read_network
from market.network.readers.report import checked
from market.network.simbench import read_simbench


class GridSource(Protocol):
    """A network and what is drawn on it without the chargers that take part in the market."""

    @property
    def network(self) -> Network:
        """The network."""
        ...

    def injections(self, period: MarketPeriod) -> tuple[Injection, ...]:
        """Load per bus, phase and period [W], [var]; NoLoadForPeriod or LoadNotKnown where it cannot be said."""
        ...

    def mean_w(self) -> Mapping[tuple[str, Phase | None], float]:
        """Mean size of the load at each bus and phase over all that is known [W], generation counted positive."""
        ...


class GridTable(Message):
    """A network that does not ship with flexmarket.

    file : pandapower JSON, a MATPOWER case, or a network in flexmarket's own form (docs of `api_spec.grid.Network`).
    simbench : instead of that, a code such as "1-LV-rural1--0-sw", with its year of profiles; needs the package
    `simbench`, which is no dependency. load : one day that stands for any, as JSON (market.network.feeders.LoadDay), or
    profiles of any length as CSV or Parquet (market.network.profiles); absent = what stands in the network's file, at
    all times. yearly : the profiles of one year stand for any year.
    """

    file: Path | None = None
    simbench: Annotated[str, Field(pattern=r"^[\w.-]{1,80}$")] | None = None
    load: Path | None = None
    yearly: bool = False

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        if (self.file is None) == (self.simbench is None):
            refuse("GridTable", [((), "needs either file or simbench")])
        if self.yearly and (self.load is None or self.load.suffix == ".json"):
            refuse("GridTable", [(("yearly",), "is of profiles, as CSV or Parquet")])
        return self

    @property
    def files(self) -> dict[str, Path]:
        """The files that it names, by its keys."""
        return {name: path for name in ("file", "load") if (path := getattr(self, name)) is not None}

    @property
    def readers(self) -> tuple[str, ...]:
        """Packages that may have a part in what is read."""
        if self.simbench is not None:
            return "simbench", "pandapower"
        kind = "" if self.file is None else self.file.suffix.lower()
        return {".m": ("matpowercaseframes",), ".json": ("pandapower",)}.get(kind, ())


@dataclass(frozen=True)
class Snapshot:
    """A network whose load never changes. load : one value each."""

    network: Network
    load: tuple[Injection, ...]

    def injections(self, period: MarketPeriod) -> tuple[Injection, ...]:
        """The same in every period."""
        return tuple(
            Injection(bus=each.bus, phase=each.phase, p_w=each.p_w * period.count, q_var=each.q_var * period.count)
            for each in self.load
        )

    def mean_w(self) -> Mapping[tuple[str, Phase | None], float]:
        """What it is at all times."""
        return {(each.bus, each.phase): abs(each.p_w[0]) for each in self.load}


@dataclass(frozen=True, eq=False)
class ProfiledGrid:
    """A network with time series of load."""

    network: Network
    profiles: Profiles

    def injections(self, period: MarketPeriod) -> tuple[Injection, ...]:
        """As Profiles."""
        return self.profiles.injections(period)

    def mean_w(self) -> Mapping[tuple[str, Phase | None], float]:
        """Of all steps."""
        return dict(zip(self.profiles.places, np.abs(self.profiles.p_w).mean(axis=0).tolist(), strict=True))


@lru_cache(maxsize=32)
def grid_source(where: GridTable | str) -> GridSource:
    """The network and its load; a string is the name of a shipped feeder.

    Read once in a process. Raises UnknownFeeder, BadNetworkFile, BadLoadFile, and ReaderUnavailable where a package is
    missing.
    """
    if isinstance(where, str):
        return feeder(where)
    if where.simbench is not None:
        network, profiles = read_simbench(where.simbench)
        known: GridSource = ProfiledGrid(network, profiles)
    else:
        assert where.file is not None, "one of the two is given"
        read = _network(where.file)
        known = Snapshot(read.network, read.load)
    return known if where.load is None else _loaded(known.network, where.load, yearly=where.yearly)


def _network(path: Path) -> ReadNetwork:
    """Of a file in any of the three forms."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return read_network(path)
    document = _json(path)
    if document.get("_class") == "pandapowerNet":
        return read_network(path)
    return ReadNetwork(checked(path, document), (), ())


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as failure:
        raise BadNetworkFile(path, [f"cannot be read as JSON ({failure})"]) from failure
    if not isinstance(document, dict):
        raise BadNetworkFile(path, ["is no network"])
    return document


def _loaded(network: Network, path: Path, *, yearly: bool) -> GridSource:
    """With the load of a file."""
    if path.suffix.lower() == ".json":
        day = _load_day(path)
        _check(path, network, ((bus, phase) for bus, phase, _ in day.parts()))
        return Feeder(network.name, network, day, source=str(path))
    profiles = read_profiles(path, yearly=yearly)
    _check(path, network, profiles.places)
    return ProfiledGrid(network, profiles)


def _load_day(path: Path) -> LoadDay:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return LoadDay.model_validate(document)
    except (OSError, ValueError) as failure:
        if isinstance(failure, ValidationError):
            reasons = [f"{each.pointer}: {each.reason}" for each in defects_of(failure, document)]
            raise BadLoadFile(str(path), reasons) from failure
        raise BadLoadFile(str(path), [f"cannot be read as JSON ({failure})"]) from failure


def _check(path: Path, network: Network, places: Iterable[tuple[str, Phase | None]]) -> None:
    """Load stands at buses that there are, and in phases where there are three."""
    known, reasons = frozenset(network.bus_ids), []
    where = f'on network "{network.name}"'
    for bus, phase in places:
        if bus not in known:
            reasons.append(unknown("bus", bus, network.bus_ids, where))
        elif phase is not None and network.phases == 1:
            reasons.append(f'load in phase {phase} of "{bus}", but network "{network.name}" is balanced')
    if reasons:
        raise BadLoadFile(str(path), reasons[:10])
