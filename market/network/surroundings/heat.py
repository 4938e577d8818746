"""Outdoor temperature, what buildings need, and what heat pumps draw for it. Pure; temperatures in Celsius.

    outdoor     T = mean - season cos(2 pi (n - 20)/365) - swing cos(2 pi (hour - 3)/24) + weather + error
    demand      Q = H max(0, T_limit - T)
    sink        T_s = 40 - T (radiators), 30 - T/2 (floor); difference D = T_s - T_source, 15 K at least
    air         COP = 0.85 (6.08 - 0.09 D + 0.0005 D^2)           T_source = T
    ground      COP = 0.85 (10.29 - 0.21 D + 0.0012 D^2)          T_source = 10 - 5 (the brine is 5 K colder)
    running     with d = Q / capacity: at the level l = max(d, least), up to 1, in the part d / l of every cycle
    power       P = l capacity / COP, and beyond d = 1 the electric back-up gives what is missing

n day of the year; `weather` is known a day ahead, `error` is not. Heat pumps begin their cycles at times of their own.
Sources: Ruhnau, Hirth and Praktiknjo, Scientific Data 6 (2019) 189, for sinks and COP, with its factor 0.85 for what
field measurements lack; the heating limit and the linear demand are those of degree-day methods (VDI 3807).
"""

from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field

from api_spec.units import Fraction, Message, NonNegative, Positive, Real
from market.network.model import FloatArray, IntArray
from market.network.surroundings.chance import A_DAY, Noise

_YEAR_DAYS: Final = 365.2425
_FIELD: Final = 0.85
_BRINE_C: Final = 5.0
_LEAST_LIFT_K: Final = 15.0


class Outdoors(Message):
    """Outdoor temperature; defaults of Copenhagen.

    mean_c : of the year. season_k, swing_k : half of what lies between summer and winter, and between day and night.
    weather : what a day ahead is known to be different. error : what the forecast of a day ahead gets wrong.
    """

    mean_c: Annotated[Real, Field(ge=-30, le=40)] = 8.9
    season_k: Annotated[NonNegative, Field(le=40)] = 8.6
    swing_k: Annotated[NonNegative, Field(le=20)] = 2.5
    weather: Noise = Noise(std=3.0, hours=72)
    error: Noise = Noise(std=1.0, hours=6)

    def forecast_c(self, minutes: IntArray, *, utc_offset_h: float, seed: int) -> FloatArray:
        """(minute,) as it is known a day ahead; utc_offset_h : of solar time."""
        day, hour = minutes / A_DAY % _YEAR_DAYS + 1, minutes / 60 + utc_offset_h
        seasons = self.season_k * np.cos(2 * np.pi * (day - 20) / 365)
        swing = self.swing_k * np.cos(2 * np.pi * (hour - 3) / 24)
        return self.mean_c - seasons - swing + self.weather.at("weather", minutes, seed=seed)

    def actual_c(self, minutes: IntArray, *, utc_offset_h: float, seed: int) -> FloatArray:
        """(minute,) as it really is."""
        known = self.forecast_c(minutes, utc_offset_h=utc_offset_h, seed=seed)
        return known + self.error.at("temperature error", minutes, seed=seed)


class HeatPump(Message):
    """A building and what heats it.

    loss_w_per_k : H. capacity_kw, backup_kw : thermal, of the heat pump and of its electric back-up. limit_c : it is
    heated below this. least : share of the capacity at which it can run, 1 for one that is on or off. cycle_min : from
    one start to the next while it is not always on.
    """

    loss_w_per_k: Positive = 180.0
    capacity_kw: Positive = 7.0
    backup_kw: NonNegative = 3.0
    source: Literal["air", "ground"] = "air"
    sink: Literal["radiators", "floor"] = "radiators"
    limit_c: Annotated[Real, Field(ge=0, le=25)] = 15.0
    least: Annotated[Fraction, Field(gt=0)] = 0.3
    cycle_min: Annotated[Positive, Field(ge=5, le=240)] = 40.0

    def demand_w(self, outdoor_c: FloatArray) -> FloatArray:
        """Q, thermal [W]."""
        demand: FloatArray = self.loss_w_per_k * np.maximum(0.0, self.limit_c - outdoor_c)
        return demand

    def cop(self, outdoor_c: FloatArray) -> FloatArray:
        """Heat over electricity."""
        sink_c = 40 - outdoor_c if self.sink == "radiators" else 30 - outdoor_c / 2
        if self.source == "air":
            lift_k = np.maximum(_LEAST_LIFT_K, sink_c - outdoor_c)
            return _FIELD * (6.08 - 0.09 * lift_k + 0.0005 * lift_k**2)
        lift_k = np.maximum(_LEAST_LIFT_K, sink_c - _BRINE_C)
        return _FIELD * (10.29 - 0.21 * lift_k + 0.0012 * lift_k**2)

    def mean_w(self, outdoor_c: FloatArray, *, size: float = 1.0) -> FloatArray:
        """Electric power over many cycles [W]. size : of the building's losses, beside the ordinary one."""
        needed_w, capacity_w = self.demand_w(outdoor_c) * size, 1e3 * self.capacity_kw
        pumped_w = np.minimum(needed_w, capacity_w)
        heated: FloatArray = np.minimum(needed_w - pumped_w, 1e3 * self.backup_kw)
        return pumped_w / self.cop(outdoor_c) + heated

    def power_w(self, outdoor_c: FloatArray, minutes: IntArray, *, phase: float, size: float = 1.0) -> FloatArray:
        """(minute,) electric power as it cycles [W]. phase : where in its cycle it stands at 0, a share of it."""
        share = self.demand_w(outdoor_c) * size / (1e3 * self.capacity_kw)
        level = np.maximum(np.minimum(share, 1.0), self.least)
        begun, on = minutes / self.cycle_min + phase, np.minimum(share / level, 1.0)
        runs = self.cycle_min * (_run(begun + 1 / self.cycle_min, on) - _run(begun, on))
        backup_w = np.minimum(np.maximum(0.0, share - 1) * self.capacity_kw, self.backup_kw) * 1e3
        power: FloatArray = runs * level * self.capacity_kw * 1e3 / self.cop(outdoor_c) + backup_w
        return power


def _run(cycles: FloatArray, share: FloatArray) -> FloatArray:
    """Of that many cycles the part for which it ran, when it runs in the first `share` of each, 1 at most."""
    within = cycles % 1
    ran: FloatArray = (cycles - within) * share + np.minimum(within, share)
    return ran
