"""The hardware of an emulated charger: plugs with pilot, contactor, meter and vehicle. Pure; seconds are monotonic.

What happens between two looks at it is worked out when it is looked at: vehicles follow, signals end and contactors
open at their own times, even when the process that drives them was stopped in between.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from aggregator_agents.charging.hardware import VehicleFacts
from aggregator_agents.emulation.vehicle import EmulatedVehicle
from aggregator_agents.fleet import MIN_A, PHASE_V, Charger, PhaseAmps, Plug

_CUT_AFTER_S: Final = 6.0
"""A contactor opens at the latest this long after the pilot stopped offering current (IEC 61851-1, A.4)."""
PILOT_EVERY_S: Final = 5.0
"""The pilot rises at most this often (IEC 61851-1, A.4: a vehicle may take that long to follow)."""


class EmulatedPlug:
    """One socket. Currents are at terminals 1, 2, 3, charging positive [A].

    closed : the contactor lets current through. cut_off : it stays open until the vehicle is unplugged. signal_a : on
    the pilot; before_a : until it changed at `changed_s`. register_wh, exported_wh : meters that only grow.
    """

    def __init__(self, plug: Plug, start_s: float) -> None:
        """Nobody is there."""
        self.plug = plug
        self.vehicle: EmulatedVehicle | None = None
        self.facts: VehicleFacts | None = None
        self.signal_a = self.before_a = 0
        self.changed_s = start_s - PILOT_EVERY_S
        self.closed = self.cut_off = False
        self.register_wh = self.exported_wh = 0.0
        self._open_s = self.until_s = inf
        self._seen_wh = (0.0, 0.0)

    @property
    def current_a(self) -> PhaseAmps:
        """Drawn now."""
        if self.vehicle is None:
            return (0.0, 0.0, 0.0)
        one, two, three = (self.vehicle.current_a if phase < self.vehicle.vehicle.phases else 0.0 for phase in range(3))
        return one, two, three

    @property
    def power_w(self) -> float:
        """Drawn now [W]."""
        return sum(self.current_a) * PHASE_V

    @property
    def wants(self) -> bool:
        """Pilot state C: the vehicle takes current when it is offered."""
        return self.vehicle is not None and not self.cut_off and self.vehicle.wants

    def plug_in(self, vehicle: EmulatedVehicle, facts: VehicleFacts | None, now_s: float) -> None:
        """A vehicle comes; what it wants and has is its own. facts : what it tells the station."""
        vehicle.at_s = now_s
        self.vehicle, self.facts = vehicle, facts
        self.cut_off, self._seen_wh = False, (vehicle.charged_wh, vehicle.discharged_wh)

    def unplug(self) -> None:
        """It goes."""
        self.vehicle = self.facts = None
        self.signal_a = self.before_a = 0
        self.closed = self.cut_off = False
        self._open_s = self.until_s = inf

    def signal(self, limit_a: int, now_s: float, *, until_s: float = inf) -> None:
        """A current on the pilot, meant until `until_s`; 0 opens the contactor once the vehicle had time to stop."""
        if limit_a != 0 and (self.cut_off or self.vehicle is None):
            return
        self.until_s = until_s if limit_a != 0 else inf
        if limit_a == self.signal_a:
            return
        self.before_a, self.signal_a, self.changed_s = self.signal_a, limit_a, now_s
        self.closed, self._open_s = (True, inf) if limit_a != 0 else (self.closed, now_s + _CUT_AFTER_S)
        if self.vehicle is not None:
            self.vehicle.signal(limit_a, now_s)

    def cut(self, now_s: float) -> None:
        """Open the contactor at once, until the vehicle is unplugged."""
        self.cut_off = self.vehicle is not None
        self.signal(0, now_s)
        self._open()

    def advance(self, now_s: float) -> None:
        """Let time pass until `now_s`."""
        if self.vehicle is None:
            return
        if self._open_s <= now_s:
            self.vehicle.advance(self._open_s)
            self._open()
        self.vehicle.advance(now_s)
        charged_wh, discharged_wh = self.vehicle.charged_wh, self.vehicle.discharged_wh
        self.register_wh += charged_wh - self._seen_wh[0]
        self.exported_wh += discharged_wh - self._seen_wh[1]
        self._seen_wh = (charged_wh, discharged_wh)

    def _open(self) -> None:
        self.closed, self._open_s = False, inf
        if self.vehicle is not None:
            self.vehicle.unplug()


class EmulatedCharger:
    """One charger."""

    def __init__(
        self,
        charger: Charger,
        *,
        start_s: float,
        floor_a: int = 0,
        record: Callable[[float, "EmulatedCharger"], None] | None = None,
        record_every_s: float = 0.25,
    ) -> None:
        """Idle. floor_a : that its plugs share when their signals have ended, per phase.

        record : is told the time and this charger, as it was then, every `record_every_s`.
        """
        self.charger, self.at_s, self._floor_a = charger, start_s, floor_a
        self.plugs = {plug.id: EmulatedPlug(plug, start_s) for plug in charger.plugs}
        self._record, self._record_every_s = record, record_every_s
        self._record_s = inf if record is None else start_s

    @property
    def current_a(self) -> PhaseAmps:
        """Drawn by all plugs at terminals 1, 2, 3."""
        one, two, three = (sum(plug.current_a[phase] for plug in self.plugs.values()) for phase in range(3))
        return one, two, three

    def signal(self, plug: str, limit_a: int, *, decided_s: float, now_s: float, holds_s: float = inf) -> None:
        """Signal a current for so long, from when it was decided: one that is over by now was never signalled.

        ValueError for a current that does not exist.
        """
        own = self.plugs[plug]
        if 0 < limit_a < MIN_A or abs(limit_a) > own.plug.max_a:
            raise ValueError(f"{limit_a} A at {plug}: 0, or {MIN_A} to {own.plug.max_a}")
        self.advance(now_s)
        if decided_s + holds_s > now_s or limit_a == 0:
            own.signal(limit_a, now_s, until_s=decided_s + holds_s)

    def advance(self, now_s: float) -> None:
        """Let time pass until `now_s`, from one end of a signal or recorded instant to the next."""
        while self.at_s < now_s:
            ends_s = min(plug.until_s for plug in self.plugs.values())
            self.at_s = max(self.at_s, min(now_s, self._record_s, ends_s))
            for plug in self.plugs.values():
                plug.advance(self.at_s)
            self._fall_back()
            if self._record is not None and self.at_s >= self._record_s:
                self._record_s += self._record_every_s
                self._record(self.at_s, self)

    def _fall_back(self) -> None:
        """Plugs whose signals have ended have what the others leave of the floor, and no more than they had."""
        for plug in self.plugs.values():
            if plug.until_s <= self.at_s:
                beside_a = sum(abs(each.signal_a) for each in self.plugs.values() if each is not plug)
                left_a = min(max(0, plug.signal_a), self._floor_a - beside_a)
                plug.signal(left_a if left_a >= MIN_A else 0, self.at_s)
