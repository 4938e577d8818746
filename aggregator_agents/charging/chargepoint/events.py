"""What happens at a charge point and is told to its central system, in no particular version's words."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import uuid4

from aggregator_agents.charging.hardware import VehicleFacts
from aggregator_agents.fleet import PhaseAmps


class State(StrEnum):
    """Of a plug, as OCPP 1.6 calls it."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EV = "SuspendedEV"
    SUSPENDED_EVSE = "SuspendedEVSE"
    FINISHING = "Finishing"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


class What(StrEnum):
    """Kinds of events."""

    STATE = "state"
    AUTHORIZING = "authorizing"
    STARTED = "started"
    UPDATED = "updated"
    SAMPLED = "sampled"
    ENDED = "ended"
    NEEDING = "needing"
    PULLING = "pulling"


OF_TRANSACTIONS = frozenset({What.STARTED, What.UPDATED, What.SAMPLED, What.ENDED})
"""Kept while there is no connection, and delivered in order."""


@dataclass
class Transaction:
    """Charging of one vehicle that somebody pays for.

    id : of the station's own making (OCPP 2). number : that the central system gave it (OCPP 1.6), None before. seq :
    of its next message.
    """

    token: str
    started: datetime
    start_wh: float
    remote_start: int | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    number: int | None = None
    seq: int = 0


@dataclass(frozen=True)
class Meter:
    """A plug at an instant. current_a : at terminals, charging positive. soc : of the battery, 0 to 1, where told."""

    at: datetime
    current_a: PhaseAmps
    power_w: float
    register_wh: float
    exported_wh: float
    offered_a: int
    soc: float | None = None


@dataclass(frozen=True)
class Event:
    """What happened at plug number `plug`, and what its meter showed.

    trigger : why, in the words of OCPP 2. reason : why a transaction ended. profile : of the dynamic profile that wants
    an update. seq : among the messages of its transaction.
    """

    what: What
    plug: int
    meter: Meter
    state: State
    transaction: Transaction | None = None
    trigger: str = ""
    reason: str = ""
    token: str = ""
    facts: VehicleFacts | None = None
    profile: int = 0
    seq: int = 0
