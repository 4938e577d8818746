"""A charger that is not there: pilots, contactors, meters and the vehicles of the moment, and its own watchdog."""

from collections.abc import Iterable
from math import inf

from aggregator_agents.charging.hardware import HardwareSilent, PlugReading, VehicleFacts
from aggregator_agents.emulation.vehicle import EmulatedVehicle
from aggregator_agents.fleet import MIN_A, Charger, PhaseAmps, Plug


class EmulatedPlug:
    """One socket. signal_a : of the pilot, until `held_until_s`. open : of the contactor, until it is unplugged."""

    def __init__(self, plug: Plug, terminals: tuple[int, int, int]) -> None:
        """Nobody is there."""
        self.plug, self.terminals = plug, terminals
        self.vehicle: EmulatedVehicle | None = None
        self.session: str | None = None
        self.signal_a = 0
        self.held_until_s = inf
        self.open = False
        self._register_wh = self._exported_wh = 0.0

    @property
    def current_a(self) -> float:
        """On each phase that the vehicle uses."""
        return self.vehicle.current_a if self.vehicle is not None else 0.0

    @property
    def phases(self) -> tuple[int, ...]:
        """Of the site, that the vehicle really uses; none without one."""
        return self.terminals[: self.vehicle.vehicle.phases] if self.vehicle is not None else ()

    @property
    def session_wh(self) -> float:
        """Charged in this session, until the vehicle was last looked at."""
        return self.vehicle.charged_wh if self.vehicle is not None else 0.0

    @property
    def register_wh(self) -> float:
        """Charged since the plug was built."""
        return self._register_wh + self.session_wh

    @property
    def exported_wh(self) -> float:
        """Fed back since the plug was built."""
        return self._exported_wh + (self.vehicle.discharged_wh if self.vehicle is not None else 0.0)

    def plug_in(self, session: str, vehicle: EmulatedVehicle, now_s: float) -> None:
        """A vehicle comes, to a pilot at 0 until it is commanded."""
        self.session, self.vehicle, self.open = session, vehicle, False
        vehicle.at_s = now_s
        vehicle.signal(self.signal_a, now_s)

    def unplug(self) -> None:
        """It leaves, its current is gone, and what was signalled to it is nothing to the next."""
        self._register_wh += self.session_wh
        self._exported_wh = self.exported_wh
        self.session, self.vehicle, self.open = None, None, False
        self.signal_a, self.held_until_s = 0, inf

    def signal(self, limit_a: int, now_s: float) -> None:
        """Change the pilot."""
        if limit_a == self.signal_a:
            return
        self.signal_a = limit_a
        if self.vehicle is not None and not self.open:
            self.vehicle.signal(limit_a, now_s)

    def read(self, now_s: float) -> PlugReading:
        """As its meter and its pilot show it."""
        vehicle = self.vehicle
        if vehicle is None:
            return PlugReading(
                plug=self.plug.id,
                session=None,
                wants=False,
                signal_a=self.signal_a,
                current_a=(0.0, 0.0, 0.0),
                session_wh=0.0,
                register_wh=self._register_wh,
                exported_wh=self._exported_wh,
            )
        vehicle.advance(now_s)
        amps, phases = vehicle.current_a, vehicle.vehicle.phases
        at_terminals: PhaseAmps = amps, amps if phases > 1 else 0.0, amps if phases > 2 else 0.0
        return PlugReading(
            plug=self.plug.id,
            session=self.session,
            wants=vehicle.wants and not self.open,
            signal_a=self.signal_a,
            current_a=at_terminals,
            session_wh=self.session_wh,
            register_wh=self.register_wh,
            open=self.open,
            vehicle=_facts(vehicle),
            exported_wh=self.exported_wh,
        )


class EmulatedCharger:
    """One charger. floor_a : that its plugs share when nobody commands them, per phase.

    silent : it does not answer. deaf : it answers, and does nothing of what it is told.
    """

    def __init__(self, charger: Charger, *, floor_a: int) -> None:
        """Nobody is there."""
        self.charger, self._floor_a = charger, floor_a
        self.plugs = {each.id: EmulatedPlug(each, charger.terminals) for each in charger.plugs}
        self.silent = self.deaf = False

    def read(self, now_s: float) -> tuple[PlugReading, ...]:
        """Every plug now. Raises HardwareSilent."""
        if self.silent:
            raise HardwareSilent(self.charger.id)
        return tuple([each.read(now_s) for each in self.plugs.values()])

    def signal(self, plug: str, limit_a: int, now_s: float, *, until_s: float = inf) -> None:
        """Signal a current until then, see ChargerHardware. Raises HardwareSilent, and ValueError for no current."""
        own = self.plugs[plug]
        if limit_a > own.plug.max_a or 0 < limit_a < MIN_A:
            raise ValueError(f"{limit_a} A at {plug}: 0, or {MIN_A} to {own.plug.max_a}")
        if self.silent:
            raise HardwareSilent(plug)
        if not self.deaf:
            own.held_until_s = until_s
            own.signal(limit_a, now_s)

    def open_contactor(self, plug: str) -> None:
        """Cut a vehicle off until it is unplugged. Raises HardwareSilent."""
        own = self.plugs[plug]
        if self.silent:
            raise HardwareSilent(plug)
        if own.vehicle is not None:
            own.open = True
            own.vehicle.unplug()

    def fall_back(self, now_s: float) -> None:
        """Plugs that nobody has commanded for too long share what the others leave of the floor."""
        for own in self._overdue(now_s):
            beside_a = sum(abs(each.signal_a) for each in self.plugs.values() if each is not own)
            left_a = min(max(0, own.signal_a), self._floor_a - beside_a)
            own.held_until_s = inf
            own.signal(left_a if left_a >= MIN_A else 0, now_s)

    def _overdue(self, now_s: float) -> Iterable[EmulatedPlug]:
        return [each for each in self.plugs.values() if each.held_until_s <= now_s]


def _facts(vehicle: EmulatedVehicle) -> VehicleFacts | None:
    """Only vehicles that can feed back speak ISO 15118 here."""
    able = vehicle.vehicle
    if able.discharge_a == 0:
        return None
    return VehicleFacts(
        energy_wh=vehicle.wanted_wh,
        stored_wh=vehicle.stored_wh,
        battery_wh=able.battery_wh,
        discharge_a=able.discharge_a,
    )
