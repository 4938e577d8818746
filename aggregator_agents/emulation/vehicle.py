"""How a vehicle follows its control pilot: late, at a finite ramp, with a bias, and never below its own minimum.

Of a power P at the plug the battery gets eta P - P0: the constant loss P0 makes low power inefficient, eta - P0 / P.
Near the end the battery takes less: of the vehicle's maximum a share that falls linearly from a charge s on to what is
left of it at full, in steps of a hundredth of the battery, so that current is piecewise linear in time.
"""

from dataclasses import dataclass, field
from math import floor, inf
from typing import Annotated, Final

from pydantic import Field

from aggregator_agents.fleet import MIN_A, Vehicle
from api_spec.units import Message, NonNegative, Positive, Real

_FULL_WH: Final = 1e-6
_BANDS: Final = 100
_HAIR: Final = 1e-6
"""Of a band: rounding does not leave a vehicle below the next one for ever."""
_STEADY_A: Final = 1e-9


class Behaviour(Message):
    """How vehicles follow. Defaults: a published characterisation of vehicles that feed back (charging.md).

    lag_s : from a new signal to the first change of current. ramp_up_w_per_s, ramp_down_w_per_s : how fast power then
    changes. charging_bias_w, discharging_bias_w : of drawn power, at full signal, in proportion below it; less is
    negative, so a discharging bias of +740 W feeds back less than asked. accuracy : what is drawn of what may be.
    standby_w : P0, lost in the vehicle while it charges or discharges. tapers_from, tapers_to : s, a share of the
    battery, and the share of the maximum that is left when it is full; they count where the battery is known.
    A lag of more than 7 s or an accuracy of more than 1.1 is a vehicle that breaks the rules, and is cut off for it.
    """

    lag_s: Annotated[NonNegative, Field(le=60)] = 4.0
    ramp_up_w_per_s: Positive = 3350.0
    ramp_down_w_per_s: Positive = 3310.0
    charging_bias_w: Annotated[Real, Field(le=0)] = -440.0
    discharging_bias_w: Annotated[Real, Field(ge=0)] = 740.0
    accuracy: Annotated[Positive, Field(le=2)] = 1.0
    standby_w: NonNegative = 0.0
    tapers_from: Annotated[NonNegative, Field(lt=1)] = 0.8
    tapers_to: Annotated[Positive, Field(le=1)] = 1.0


EXACT: Final = Behaviour(
    lag_s=0.0, ramp_up_w_per_s=1e12, ramp_down_w_per_s=1e12, charging_bias_w=0.0, discharging_bias_w=0.0
)
"""Vehicles that do at once what they are told."""


@dataclass
class EmulatedVehicle:
    """One vehicle at a plug. Amps are per used phase, charging positive; seconds are of any monotonic clock.

    wanted_wh : still to be charged at the plug; stored_wh : in the battery, for one that feeds back. Such a one takes
    more than its driver wants when it is offered, until its battery is full: surplus_wh, the first to be fed back.
    lowest_wh : in the battery after feeding back. at_s : until when it has been advanced. Current is piecewise linear
    in time, so energy is exact.
    """

    vehicle: Vehicle
    wanted_wh: float
    stored_wh: float = 0.0
    behaviour: Behaviour = field(default_factory=Behaviour)
    at_s: float = 0.0
    current_a: float = 0.0
    charged_wh: float = 0.0
    discharged_wh: float = 0.0
    surplus_wh: float = 0.0
    lowest_wh: float = inf
    _signals: list[tuple[float, int]] = field(default_factory=list)
    _obeyed_a: int = 0

    def signal(self, limit_a: int, now_s: float) -> None:
        """The pilot changes at `now_s`; negative asks for discharging. Signals take effect in the order they came."""
        self._signals.append((now_s + self.behaviour.lag_s, limit_a))

    @property
    def wants(self) -> bool:
        """Whether it takes current when offered."""
        return self.takes_wh > _FULL_WH

    @property
    def takes_wh(self) -> float:
        """What it can still take at the plug."""
        battery_wh = self.vehicle.battery_wh
        if self.vehicle.discharge_a == 0 or battery_wh is None:
            return self.wanted_wh
        return self._kept((battery_wh - self.stored_wh) / self.vehicle.efficiency)

    def target_a(self, signal_a: int) -> float:
        """What it draws in the end at a signal [A]."""
        if signal_a == 0:
            return 0.0
        own, way = self.vehicle, self.behaviour
        if signal_a < 0:
            if own.discharge_a == 0 or self.stored_wh <= _FULL_WH:
                return 0.0
            feed_a = min(-signal_a, own.discharge_a) * way.accuracy
            bias_a = way.discharging_bias_w / own.watts_per_amp * feed_a / own.discharge_a
            return min(0.0, bias_a - feed_a)
        if signal_a < max(MIN_A, own.min_a) or not self.wants:
            return 0.0
        draw_a = min(signal_a, own.max_a * self._taper()) * way.accuracy
        bias_a = way.charging_bias_w / own.watts_per_amp * draw_a / own.max_a
        return max(0.0, draw_a + bias_a)

    def advance(self, now_s: float) -> None:
        """Let time pass until `now_s`."""
        while True:
            if self._signals and self._signals[0][0] <= self.at_s:
                self._obeyed_a = self._signals.pop(0)[1]
                continue
            if self.at_s >= now_s:
                return
            until_s = min(now_s, self._signals[0][0]) if self._signals else now_s
            self._run(until_s)

    def unplug(self) -> None:
        """No current any more, at once."""
        self.current_a, self._obeyed_a = 0.0, 0
        self._signals.clear()

    def next_change_s(self) -> float:
        """When it begins to follow another signal; infinite when nothing is pending."""
        return self._signals[0][0] if self._signals else float("inf")

    @property
    def sloped(self) -> bool:
        """Whether its current is changing."""
        return abs(self.target_a(self._obeyed_a) - self.current_a) > _STEADY_A

    @property
    def settled_a(self) -> float:
        """What it draws once it has followed every signal [A]."""
        return self.target_a(self._signals[-1][1] if self._signals else self._obeyed_a)

    def next_corner_s(self) -> float:
        """Until when its current is the straight line that it is on now; infinite for ever."""
        goal_a, rate_w = self.target_a(self._obeyed_a), self.behaviour.ramp_down_w_per_s
        power_w = self.current_a * self.vehicle.watts_per_amp
        if abs(goal_a - self.current_a) > _STEADY_A:
            rate_w = self.behaviour.ramp_up_w_per_s if goal_a > self.current_a else rate_w
            ends_s = self.at_s + abs(goal_a * self.vehicle.watts_per_amp - power_w) / rate_w
        elif power_w > 0:
            ends_s = self.at_s + self.takes_wh / power_w * 3600
        elif power_w < 0:
            ends_s = self.at_s + self.stored_wh * self.vehicle.efficiency / -power_w * 3600
        else:
            ends_s = float("inf")
        return min(ends_s, self.next_change_s())

    def _run(self, until_s: float) -> None:
        """At one obeyed signal; stops short where the ramp ends or the battery is full or empty."""
        goal_a = self.target_a(self._obeyed_a)
        rate_w = self.behaviour.ramp_up_w_per_s if goal_a > self.current_a else self.behaviour.ramp_down_w_per_s
        rate_a = rate_w / self.vehicle.watts_per_amp
        left_s = until_s - self.at_s
        ramp_s = min(left_s, abs(goal_a - self.current_a) / rate_a)
        if ramp_s > 0:
            change_a = rate_a * ramp_s if goal_a > self.current_a else -rate_a * ramp_s
            after_a = goal_a if ramp_s < left_s else self.current_a + change_a
            self._charge((self.current_a + after_a) / 2, ramp_s)
            self.current_a = after_a
            self.at_s += ramp_s
            return
        self.current_a = goal_a
        power_w = goal_a * self.vehicle.watts_per_amp
        if power_w > 0:
            left_s = min(left_s, self.takes_wh / power_w * 3600, self._band_s(power_w))
        elif power_w < 0:
            left_s = min(left_s, self.stored_wh / self._taken_w(power_w) * 3600)
        self._charge(goal_a, left_s)
        self.at_s = until_s if power_w == 0 else self.at_s + left_s

    def _stored_w(self, power_w: float) -> float:
        """Of a power at the plug, what reaches the battery."""
        return max(0.0, power_w * self.vehicle.efficiency - self.behaviour.standby_w) if power_w > 0 else 0.0

    def _taken_w(self, power_w: float) -> float:
        """Of a negative power at the plug, what the battery gives."""
        return -power_w / self.vehicle.efficiency + self.behaviour.standby_w

    def _taper(self) -> float:
        """What the battery takes at its present charge, as a share of the vehicle's maximum."""
        begins, battery_wh = self.behaviour.tapers_from, self.vehicle.battery_wh
        if battery_wh is None or self.behaviour.tapers_to == 1.0:
            return 1.0
        full = min(1.0, self._band(battery_wh) / _BANDS)
        return 1.0 - (1.0 - self.behaviour.tapers_to) * max(0.0, full - begins) / (1.0 - begins)

    def _band(self, battery_wh: float) -> int:
        return floor(self.stored_wh / battery_wh * _BANDS + _HAIR)

    def _band_s(self, power_w: float) -> float:
        """How long charging at this power stays in one hundredth of the battery."""
        battery_wh = self.vehicle.battery_wh
        if battery_wh is None or self.behaviour.tapers_to == 1.0 or (stored_w := self._stored_w(power_w)) == 0:
            return inf
        edge_wh = (self._band(battery_wh) + 1) / _BANDS * battery_wh
        return (edge_wh - self.stored_wh) / stored_w * 3600

    def _charge(self, current_a: float, seconds: float) -> None:
        power_w = current_a * self.vehicle.watts_per_amp
        energy_wh = power_w * seconds / 3600
        if energy_wh >= 0:
            self.charged_wh += energy_wh
            if self.vehicle.discharge_a > 0:
                self.surplus_wh += max(0.0, energy_wh - self.wanted_wh)
            self.wanted_wh = self._kept(self.wanted_wh - energy_wh)
            self.stored_wh += self._stored_w(power_w) * seconds / 3600
        else:
            self.discharged_wh -= energy_wh
            taken_wh = self._taken_w(power_w) * seconds / 3600
            self.stored_wh = self._kept(self.stored_wh - taken_wh)
            self.lowest_wh = min(self.lowest_wh, self.stored_wh)
            missing_wh = taken_wh / self.vehicle.efficiency - self.surplus_wh
            self.surplus_wh = max(0.0, -missing_wh)
            self.wanted_wh += max(0.0, missing_wh)

    @staticmethod
    def _kept(energy_wh: float) -> float:
        """Rounding leaves no crumb that would be charged in steps of no time."""
        return energy_wh if energy_wh > _FULL_WH else 0.0
