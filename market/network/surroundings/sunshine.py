"""What the sun gives to modules under a sky with clouds. Pure; n is the day of the year, angles in degrees.

    declination      d = 23.45 sin(360/365 (n - 81))
    equation of time E = 9.87 sin 2B - 7.53 cos B - 1.5 sin B [min]        B = 360/364 (n - 81)
    elevation        sin h = cos L cos d cos H + sin L sin d               L latitude, H = 15 (12 - solar hour)
    beam             I_B = (1160 + 75 sin(360/365 (n - 275))) exp(-k / sin h) [W/m2]
                     k = 0.174 + 0.035 sin(360/365 (n - 100)),  C = 0.095 + 0.04 sin(360/365 (n - 100))
    on a plane       I = I_B (max(0, cos incidence) + C (1 + cos tilt)/2 + 0.2 (sin h + C)(1 - cos tilt)/2)
    under clouds     I (1 - 0.75 c^3.4)            c cover, F(m + s z) with F the normal distribution and z noise

Sources: Masters, Renewable and Efficient Electric Power Systems (2004), 7.4 to 7.9, for the clear sky (the model of
ASHRAE); Kasten and Czeplak, Solar Energy 24 (1980) 177, for clouds. m is such that the mean of c is the mean cover.
"""

from statistics import NormalDist
from typing import Annotated, Final

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from pydantic import Field
from scipy.special import ndtr

from api_spec.units import Fraction, Message, NonNegative, Positive, Real
from market.network.model import FloatArray, IntArray
from market.network.surroundings.chance import A_DAY, noise

_GROUND: Final = 0.2
_SPREAD: Final = 1.5
"""s: skies are mostly clear or mostly overcast."""
_NODES, _WEIGHTS = hermegauss(15)
_YEAR_DAYS: Final = 365.2425


class Sky(Message):
    """Where the network is, and how cloudy it is there.

    cloud_cover : mean share of the sky. cloud_hours : after which exp(-1) of a cloud is left; the same ones are above
    all buses.
    """

    latitude_deg: Annotated[Real, Field(ge=-65, le=65)] = 55.69
    longitude_deg: Annotated[Real, Field(ge=-180, le=180)] = 12.10
    cloud_cover: Annotated[Fraction, Field(gt=0, lt=1)] = 0.6
    cloud_hours: Annotated[Positive, Field(le=240)] = 3.0

    def passing(self, minutes: IntArray, *, seed: int) -> FloatArray:
        """(minute,) which part of a clear sky's sunshine comes through the clouds that there really are."""
        return self._passing(noise("clouds", minutes, hours=self.cloud_hours, seed=seed))

    @property
    def mean_passing(self) -> float:
        """The mean of that."""
        return float(self._passing(_NODES) @ _WEIGHTS / _WEIGHTS.sum())

    def _passing(self, z: FloatArray) -> FloatArray:
        middle = NormalDist().inv_cdf(self.cloud_cover) * np.hypot(1.0, _SPREAD)
        passing: FloatArray = 1 - 0.75 * ndtr(middle + _SPREAD * z) ** 3.4
        return passing


class Modules(Message):
    """How modules stand. azimuth_deg : from north over east, 180 looks south. performance : of what the sun gives."""

    tilt_deg: Annotated[NonNegative, Field(le=90)] = 35.0
    azimuth_deg: Annotated[NonNegative, Field(lt=360)] = 180.0
    performance: Annotated[Fraction, Field(gt=0)] = 0.85

    def clear_sky(self, sky: Sky, minutes: IntArray) -> FloatArray:
        """(minute,) power without clouds, of the peak power at 1000 W/m2."""
        return self.performance * self.irradiance(sky, minutes) / 1000

    def irradiance(self, sky: Sky, minutes: IntArray) -> FloatArray:
        """(minute,) on the plane, without clouds [W/m2]; minutes : since 1970 in UTC."""
        n = minutes / A_DAY % _YEAR_DAYS + 1
        declination = np.radians(23.45 * _sine(n - 81))
        b = 2 * np.pi / 364 * (n - 81)
        late_min = 9.87 * np.sin(2 * b) - 7.53 * np.cos(b) - 1.5 * np.sin(b)
        solar_h = minutes % A_DAY / 60 + sky.longitude_deg / 15 + late_min / 60
        hour = np.radians(15 * (12 - solar_h))
        latitude, tilt = np.radians(sky.latitude_deg), np.radians(self.tilt_deg)
        east = np.cos(declination) * np.sin(hour)
        north = np.cos(latitude) * np.sin(declination) - np.sin(latitude) * np.cos(declination) * np.cos(hour)
        up = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour)

        azimuth = np.radians(self.azimuth_deg)
        level = np.sin(azimuth) * east + np.cos(azimuth) * north
        facing = np.maximum(0.0, np.sin(tilt) * level + np.cos(tilt) * up)
        height = np.maximum(up, 1e-3)
        beam = (1160 + 75 * _sine(n - 275)) * np.exp(-(0.174 + 0.035 * _sine(n - 100)) / height)
        diffuse = 0.095 + 0.04 * _sine(n - 100)
        around = diffuse * (1 + np.cos(tilt)) / 2 + _GROUND * (height + diffuse) * (1 - np.cos(tilt)) / 2
        irradiance: FloatArray = np.where(up > 0, beam * (facing + around), 0.0)
        return irradiance


def _sine(days: FloatArray) -> FloatArray:
    sine: FloatArray = np.sin(2 * np.pi / 365 * days)
    return sine
