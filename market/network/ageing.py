"""How hot a transformer gets and how fast its insulation ages (IEC 60076-7:2018). Pure; temperatures in Celsius.

Oil and winding follow a load K (current over rated current) that is constant within a step, 8.2.3 of the standard:

    oil      k11 tau_o dT_o/dt = T_or ((1 + K^2 R) / (1 + R))^x - (T_o - T_a)        T_o top oil, T_a ambient
    winding  k22 tau_w dG_1/dt = k21 G_r K^y - G_1
             tau_o/k22 dG_2/dt = (k21 - 1) G_r K^y - G_2
    hot spot T_h = T_o + G_1 - G_2

The standard solves them by differences, in steps of at most half of tau_w; they are linear, so that their exponentials
are exact for steps of any length. Relative ageing rate, 1 at 98 C for kraft paper and at 110 C for upgraded paper:

    V = 2^((T_h - 98) / 6)          kraft           V = exp(15000 / 383 - 15000 / (T_h + 273))      upgraded

Loss of life is its integral over time.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

import numpy as np
from pydantic import Field
from scipy.signal import lfilter

from api_spec.units import Message, NonNegative, Positive
from market.network.model import FloatArray

Paper: TypeAlias = Literal["kraft", "upgraded"]
_LONGEST_STEP_MIN: Final = 1.0
_KELVIN: Final = 273.0


class Cooling(Message):
    """Thermal characteristics; defaults of an ONAN distribution transformer, tables 4 and E.1 of the standard.

    oil_rise_k, gradient_k : T_or, G_r, top oil over ambient and hot spot over top oil, both at rated current for ever.
    loss_ratio : R, load losses over no-load losses. oil_exponent, winding_exponent : x, y. oil_min,
    winding_min : tau_o, tau_w. k11, k21, k22 : of the equations above.
    """

    oil_rise_k: Positive = 55.0
    gradient_k: Positive = 23.0
    loss_ratio: Positive = 5.0
    oil_exponent: Annotated[Positive, Field(le=2)] = 0.8
    winding_exponent: Annotated[Positive, Field(le=3)] = 1.6
    oil_min: Positive = 180.0
    winding_min: Positive = 4.0
    k11: Positive = 1.0
    k21: Annotated[NonNegative, Field(ge=1)] = 1.0
    k22: Positive = 2.0
    paper: Paper = "kraft"


ONAN: Final = Cooling()


@dataclass(frozen=True, eq=False)
class Ageing:
    """What became of transformers.

    oil_c, hot_spot_c : (step, transformer) at the end of every step. rate : (step, transformer) mean V of it. lost_h :
    (transformer,) loss of life [h].
    """

    oil_c: FloatArray
    hot_spot_c: FloatArray
    rate: FloatArray
    lost_h: FloatArray


def ageing(load: FloatArray, ambient_c: FloatArray, *, step_minutes: float, cooling: Cooling = ONAN) -> Ageing:
    """Temperatures and ageing under a load that repeats.

    load : (step, transformer) current over rated current. ambient_c : (step,). The transformer begins as hot as it ends
    up, as in the cyclic loading of the standard: nothing else is known of what was before.
    """
    fine = max(1, int(np.ceil(step_minutes / _LONGEST_STEP_MIN)))
    minutes = step_minutes / fine
    k, ambient = np.repeat(load, fine, axis=0), np.repeat(ambient_c, fine)[:, None]
    total = ((1 + k**2 * cooling.loss_ratio) / (1 + cooling.loss_ratio)) ** cooling.oil_exponent
    oil_c = _followed(ambient + cooling.oil_rise_k * total, minutes / (cooling.k11 * cooling.oil_min))
    gradient_k = cooling.gradient_k * k**cooling.winding_exponent
    first = _followed(cooling.k21 * gradient_k, minutes / (cooling.k22 * cooling.winding_min))
    second = _followed((cooling.k21 - 1) * gradient_k, minutes * cooling.k22 / cooling.oil_min)
    hot_spot_c = oil_c + first - second
    rate = ageing_rate(hot_spot_c, cooling.paper).reshape(len(load), fine, -1).mean(axis=1)
    return Ageing(oil_c[fine - 1 :: fine], hot_spot_c[fine - 1 :: fine], rate, rate.sum(axis=0) * step_minutes / 60)


def ageing_rate(hot_spot_c: FloatArray, paper: Paper = "kraft") -> FloatArray:
    """V, relative to what the insulation is made for; equations above."""
    if paper == "kraft":
        kraft: FloatArray = 2.0 ** ((hot_spot_c - 98.0) / 6.0)
        return kraft
    upgraded: FloatArray = np.exp(15_000 / (110.0 + _KELVIN) - 15_000 / (hot_spot_c + _KELVIN))
    return upgraded


def _followed(goal: FloatArray, share: float) -> FloatArray:
    """(step, thing) what a first-order lag makes of a goal, after each step of `share` of its time constant; cyclic."""
    kept = float(np.exp(-share))
    from_zero: FloatArray = lfilter([1 - kept], [1, -kept], goal, axis=0)
    steps = np.arange(1, len(goal) + 1)[:, None]
    begins = from_zero[-1] / (1 - kept ** len(goal))
    cyclic: FloatArray = from_zero + begins * kept**steps
    return cyclic
