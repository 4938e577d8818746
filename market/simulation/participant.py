"""What a simulated participant is, and how a scenario names it."""

import contextlib
import inspect
import traceback
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, Self, cast, get_type_hints, runtime_checkable

from pydantic import BaseModel

from api_spec.client import MarketClient
from api_spec.grid_metering import GridReading
from api_spec.period import MarketPeriod
from market.errors import BadScenario
from market.network.model import FloatArray
from market.simulation.own_code import imported


class Participant(Protocol):
    """An agent on the market. Works from `now` and what the market says; a repeated cycle changes nothing."""

    @classmethod
    def build(cls, client: MarketClient, config: Mapping[str, Any]) -> Self:
        """An agent that acts with `client`'s credentials, built of the scenario's table for it."""
        ...

    @property
    def config(self) -> BaseModel:
        """The table it was built of, with every default filled in."""
        ...

    async def cycle(self, now: datetime) -> None:
        """Market side: read, decide, act."""
        ...

    async def control(self, now: datetime) -> None:
        """Device side, once a minute: set-points to chargers."""
        ...

    def drawn_w(self, period: MarketPeriod) -> Mapping[str, FloatArray]:
        """(period,) true mean power that its devices drew at each bus in periods that are over [W].

        Consumption positive; empty without devices.
        """
        ...


class PlugRecord(Protocol):
    """What a plug was allowed and what its meter counted: mean power from `at` to the next control [W]."""

    @property
    def at(self) -> datetime: ...  # noqa: D102
    @property
    def plug(self) -> str: ...  # noqa: D102
    @property
    def setpoint_w(self) -> float: ...  # noqa: D102
    @property
    def metered_w(self) -> float: ...  # noqa: D102


class DriverRecord(Protocol):
    """What a driver asked for and got [Wh]."""

    @property
    def session(self) -> str: ...  # noqa: D102
    @property
    def plug(self) -> str: ...  # noqa: D102
    @property
    def arrives(self) -> datetime: ...  # noqa: D102
    @property
    def departs(self) -> datetime: ...  # noqa: D102
    @property
    def asked_wh(self) -> float: ...  # noqa: D102
    @property
    def delivered_wh(self) -> float: ...  # noqa: D102


@runtime_checkable
class ChargesVehicles(Protocol):
    """A participant whose chargers a report can look into."""

    def plug_log(self) -> Sequence[PlugRecord]:
        """Every plug from control to control, in the order of time for each plug."""
        ...

    def driver_report(self) -> Sequence[DriverRecord]:
        """Sessions that have begun."""
        ...


@runtime_checkable
class HasConnections(Protocol):
    """A participant whose connection points can be billed and put under contracts."""

    def connections(self) -> Mapping[str, int]:
        """What each of them carries at most [W], by its bus."""
        ...


class FaultRecord(Protocol):
    """Something that was out of order, of some kind, somewhere."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def where(self) -> str: ...  # noqa: D102
    @property
    def start(self) -> datetime: ...  # noqa: D102
    @property
    def end(self) -> datetime: ...  # noqa: D102


@runtime_checkable
class LogsFaults(Protocol):
    """A participant that knows what failed."""

    def fault_log(self) -> Sequence[FaultRecord]:
        """Everything that has been out of order so far, or is going to be."""
        ...


class RequestRecord(Protocol):
    """A request that was posted in an auction: its kind, the element or buses that it is about, and why."""

    @property
    def auction(self) -> str: ...  # noqa: D102
    @property
    def asked_at(self) -> datetime: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def about(self) -> str: ...  # noqa: D102
    @property
    def because(self) -> str: ...  # noqa: D102


@runtime_checkable
class GivesReasons(Protocol):
    """A DSO that says why it asks."""

    def request_log(self) -> Sequence[RequestRecord]:
        """Everything that it asked for and need not have forgotten, in the order of time."""
        ...


@runtime_checkable
class RatesPlugs(Protocol):
    """A participant that says how much all of its plugs could draw."""

    def plug_ratings_w(self) -> Mapping[str, float]:
        """The most that every plug gives [W], by its id."""
        ...


@runtime_checkable
class Forgets(Protocol):
    """A participant that need not remember everything."""

    def forget(self, before: datetime) -> None:
        """Nothing that happened before will be asked for any more."""
        ...


@runtime_checkable
class ReadsMeters(Protocol):
    """A participant who reads the instruments of the network: a DSO."""

    def meters(self, readings: Sequence[GridReading]) -> None:
        """Take what has arrived since the last call; in a later version of a reading what is missing is not new."""
        ...


@runtime_checkable
class BelievesLoad(Protocol):
    """A participant who says what it takes for drawn: a DSO, of what its instruments told."""

    def believed_w(self, buses: Sequence[str], period: MarketPeriod) -> FloatArray:
        """(period, bus) power of everything connected there, nan where it knows nothing [W]."""
        ...


def participant_class(name: str) -> type[Participant]:
    """The class that "package.module:Class" names; BadScenario where there is none or it is no participant."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(imported(module), attribute, None)
    except ModuleNotFoundError as failure:
        raise BadScenario(f'no agent "{name}": {failure}') from failure
    except Exception as failure:  # a module of somebody's own may raise anything
        raise BadScenario(f'no agent "{name}": {_where(failure)}: {type(failure).__name__}: {failure}') from failure
    if found is None:
        raise BadScenario(f'no agent "{name}": module {module} has no {attribute}')
    if not inspect.isclass(found):
        raise BadScenario(f'"{name}" is no participant: it is no class')
    annotated = (name for each in inspect.getmro(found) for name in vars(each).get("__annotations__", ()))
    there = {*dir(found), *annotated}  # a plain attribute is there once it is built
    missing = [each for each in ("build", "config", "cycle", "control", "drawn_w") if each not in there]
    if missing:
        raise BadScenario(f'"{name}" is no participant: it has no {", no ".join(missing)}')
    return cast(type[Participant], found)


def table_type(name: str) -> type[BaseModel] | None:
    """What the table of an agent is read as, as far as its class says so with the type of `config`."""
    try:
        found = participant_class(name)
    except BadScenario:  # said where the agent is built
        return None
    said = inspect.getattr_static(found, "config", None)
    with contextlib.suppress(NameError, TypeError):
        if isinstance(said, property):
            hint = get_type_hints(said.fget).get("return")
        else:
            hint = get_type_hints(found).get("config")
        return hint if inspect.isclass(hint) and issubclass(hint, BaseModel) else None
    return None


def _where(failure: Exception) -> str:
    """The innermost line of a file that could not be imported."""
    if isinstance(failure, SyntaxError):
        return f"{failure.filename}:{failure.lineno}"
    last = traceback.extract_tb(failure.__traceback__)[-1]
    return f"{last.filename}:{last.lineno}"
