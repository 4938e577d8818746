"""What every version of OCPP has to say and to answer for a charge point; `dialect16` and `dialect2` do."""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from aggregator_agents.charging.chargepoint.clock import Time
from aggregator_agents.charging.chargepoint.events import Event, Meter
from aggregator_agents.charging.ocpp.dialect import Request
from aggregator_agents.charging.ocpp.frames import Payload, Version

MODEL: Final = "emulated ACDC"


class Wire(Protocol):
    """What a central system can ask for that is not the device's own matter."""

    def boot_again(self) -> None:
        """Say once more what this is."""
        ...

    def beat(self) -> None:
        """Send a heartbeat now."""
        ...

    def restart(self, reason: str) -> None:
        """Reboot once the answer is out. reason : of the transactions that this ends."""
        ...


class Dialect(Protocol):
    """One version of OCPP, for one device."""

    version: Version

    def boot(self, *, reason: str) -> Request:
        """Who this is. reason : in the words of OCPP 2."""
        ...

    def message(self, event: Event, *, offline: bool) -> Request | None:
        """What an event is told with; None for one that this version does not tell.

        offline : it happened without a connection.
        """
        ...

    def answered(self, event: Event, answer: Payload, time: Time) -> None:
        """What the central system said to it."""
        ...

    def answer(self, action: str, payload: Payload, time: Time) -> Payload:
        """The answer to a call. Raises BadFrame."""
        ...


Answer = Callable[[Payload, Time], Payload]


class Sample(NamedTuple):
    """One value of a meter."""

    measurand: str
    value: float
    unit: str
    phase: str | None = None


def samples(meter: Meter, wanted: frozenset[str]) -> list[Sample]:
    """What a meter shows, as far as it is wanted. Import and export are both positive."""
    named = [("L1", meter.current_a[0]), ("L2", meter.current_a[1]), ("L3", meter.current_a[2])]
    every = [Sample("Current.Import", max(0.0, amps), "A", phase) for phase, amps in named]
    if meter.exported_wh > 0 or min(meter.current_a) < 0:
        every += [Sample("Current.Export", max(0.0, -amps), "A", phase) for phase, amps in named]
        every.append(Sample("Power.Active.Export", max(0.0, -meter.power_w), "W"))
        every.append(Sample("Energy.Active.Export.Register", meter.exported_wh, "Wh"))
    every.append(Sample("Current.Offered", max(0, meter.offered_a), "A"))
    every.append(Sample("Power.Active.Import", max(0.0, meter.power_w), "W"))
    every.append(Sample("Energy.Active.Import.Register", meter.register_wh, "Wh"))
    if meter.soc is not None:
        every.append(Sample("SoC", 100 * meter.soc, "Percent"))
    return [each for each in every if each.measurand in wanted]
