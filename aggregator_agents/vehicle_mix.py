"""Which vehicles come to a site, and what their drivers insist on: a mix of kinds, of which every session draws one."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from aggregator_agents.fleet import MIN_A, Vehicle
from api_spec.defects import Place, refuse
from api_spec.units import Fraction, Message, NonNegative, Positive

_MOST_A: Final = 80
"""The highest current that a control pilot can signal (IEC 61851-1)."""
Amps = Annotated[int, Field(strict=True, ge=MIN_A, le=_MOST_A)]


class VehicleKind(Message):
    """One kind of vehicle; see aggregator_agents.fleet.Vehicle.

    share : how often it comes, in proportion to the shares of the other kinds. max_a : of its charger; what plug and
    cable allow counts as well. discharge_a : what it can feed back per phase [A], 0 for one that cannot.
    """

    share: Positive = 1.0
    phases: Literal[1, 2, 3] = 3
    min_a: Amps = MIN_A
    max_a: Amps = _MOST_A
    discharge_a: Annotated[int, Field(strict=True, ge=0, le=_MOST_A)] = 0
    battery_kwh: Positive | None = None
    efficiency: Annotated[Fraction, Field(gt=0)] = 1.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        defects: list[tuple[Place, str]] = []
        if self.max_a < self.min_a:
            defects.append((("max_a",), f"must be at least min_a, {self.min_a}"))
        if self.discharge_a and self.battery_kwh is None:
            defects.append((("battery_kwh",), "is needed for a vehicle that feeds back"))
        refuse("VehicleKind", defects)
        return self

    def at(self, plug_a: int) -> Vehicle:
        """Such a vehicle at a plug of `plug_a` per phase [A]."""
        return Vehicle(
            phases=self.phases,
            min_a=self.min_a,
            max_a=min(self.max_a, plug_a),
            efficiency=self.efficiency,
            discharge_a=min(self.discharge_a, plug_a),
            battery_wh=None if self.battery_kwh is None else 1000 * self.battery_kwh,
        )


@dataclass(frozen=True)
class Arrival:
    """A vehicle as it comes, and its driver's wishes; see aggregator_agents.fleet.Session for the three numbers."""

    vehicle: Vehicle
    stored_wh: float
    floor_wh: float
    priority: float

    @property
    def room_wh(self) -> float:
        """What it can take at the plug until its battery is full; infinite where that is not known [Wh]."""
        if self.vehicle.battery_wh is None:
            return float("inf")
        return max(0.0, self.vehicle.battery_wh - self.stored_wh) / self.vehicle.efficiency


class VehicleMix(Message):
    """Kinds of vehicles, and their drivers.

    stored, stored_std : share of the battery that is full at arrival, a normal distribution cut off at 0 and 1. floor :
    share of the battery that drivers never want to be below. These count for kinds whose battery is known.
    hurried : share of the drivers who ask for priority, and get the weight `priority` beside 1 of the others.
    """

    kinds: Annotated[tuple[VehicleKind, ...], Field(min_length=1, max_length=100)] = (VehicleKind(),)
    stored: Fraction = 0.5
    stored_std: NonNegative = 0.0
    floor: Fraction = 0.3
    hurried: Fraction = 0.0
    priority: Annotated[Positive, Field(le=100)] = 2.0

    def draw(self, random: np.random.Generator, plug_a: int) -> Arrival:
        """One vehicle that comes to a plug of `plug_a` per phase [A]; always takes the same count of random numbers."""
        shares = np.array([each.share for each in self.kinds])
        kind = self.kinds[int(random.choice(len(self.kinds), p=shares / shares.sum()))]
        stored = float(np.clip(random.normal(self.stored, self.stored_std), 0.0, 1.0))
        priority = self.priority if random.random() < self.hurried else 1.0
        vehicle = kind.at(plug_a)
        battery_wh = vehicle.battery_wh or 0.0
        return Arrival(vehicle, stored * battery_wh, self.floor * battery_wh, priority)
