"""What differs between the versions of OCPP: how events are told and how a station is asked."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from aggregator_agents.charging.ocpp.events import Event
from aggregator_agents.charging.ocpp.frames import Call, Payload, Version
from aggregator_agents.charging.ocpp.profiles import Abilities

Tokens = Callable[[str], bool]
"""Whether a driver's token may charge."""
Answer = tuple[Payload, tuple[Event, ...]]
"""The result of a call, and what was told by it."""

MEASURANDS: Final = (
    (
        *("Current.Import", "Current.Export", "Power.Active.Import", "Power.Active.Export"),
        *("Energy.Active.Import.Register", "Energy.Active.Export.Register", "Current.Offered", "SoC"),
    ),
    (
        *("Current.Import", "Current.Export", "Power.Active.Import", "Power.Active.Export"),
        *("Energy.Active.Import.Register", "Current.Offered", "SoC"),
    ),
    ("Current.Import", "Power.Active.Import", "Energy.Active.Import.Register", "Current.Offered"),
    ("Current.Import", "Energy.Active.Import.Register"),
    ("Power.Active.Import", "Energy.Active.Import.Register"),
)
"""To be sampled, the dearest choice first: not every station has them all."""


@dataclass(frozen=True)
class Request:
    """Something to be asked of a station."""

    action: str
    payload: Payload


@dataclass
class Desk:
    """What answering needs beside the call.

    tokens : who may charge. heartbeat_s : how often stations are to be heard. sample_s : between two meter samples.
    """

    tokens: Tokens
    heartbeat_s: int = 60
    sample_s: int = 5
    _numbers: dict[tuple[object, ...], int] = field(default_factory=dict)
    _last: int = 0

    def number(self, *start: object, now: datetime) -> int:
        """An id for a transaction: of seconds, so new after a restart; the same when `start` is told again."""
        if start not in self._numbers:
            self._last = max(self._last + 1, int(now.timestamp()) % 2**31)
            self._numbers[start] = self._last
            if len(self._numbers) > 10_000:
                self._numbers.pop(next(iter(self._numbers)))
        return self._numbers[start]


class Dialect(Protocol):
    """One version. Pure."""

    @property
    def version(self) -> Version:
        """Of the payloads."""
        ...

    def answer(self, station: str, call: Call, desk: Desk, *, now: datetime) -> Answer | None:
        """The result of a call that fits its schema; None for an action that is not supported. Raises BadFrame."""
        ...

    def ask_abilities(self) -> Request:
        """Ask what a station can do."""
        ...

    def abilities(self, payload: Payload) -> Abilities:
        """Its answer."""
        ...

    def sampling(self, desk: Desk) -> tuple[tuple[Request, ...], ...]:
        """Settings of the meters: of each tuple the first that is accepted is enough."""
        ...

    def accepted(self, request: Request, payload: Payload) -> bool:
        """Whether the answer to one of the requests of this dialect says yes."""
        ...

    def profile(self, payload: Payload) -> Request:
        """Set a charging profile."""
        ...

    def make_room(self, payload: Payload) -> Request | None:
        """Clear whatever else stands where a profile was refused; None where a new one simply replaces it."""
        ...

    def stop(self, transaction: str) -> Request:
        """End a transaction, which opens the contactor."""
        ...

    def availability(self, plug: int, *, operative: bool) -> Request:
        """Take a plug out of service, or back."""
        ...

    def tell_again(self, plug: int) -> tuple[Request, ...]:
        """Ask a station for the state of a plug, and of a transaction that began before we did."""
        ...


def whole(text: str | None, otherwise: int) -> int:
    """A whole number of a setting, or else what is assumed of a station that does not tell it."""
    try:
        return otherwise if text is None else max(0, min(int(text), 1_000_000))
    except ValueError:
        return otherwise
