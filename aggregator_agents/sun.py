"""Where the sun stands and what it gives to a tilted plane under a clear sky. Pure; angles in radians inside.

    declination     d = 0.006918 - 0.399912 cos G + 0.070257 sin G - 0.006758 cos 2G + 0.000907 sin 2G
                        - 0.002697 cos 3G + 0.00148 sin 3G                 G angle of the year
    equation of time  E = 229.18 (0.000075 + 0.001868 cos G - 0.032077 sin G - 0.014615 cos 2G - 0.040849 sin 2G) [min]
    air mass        m = 1 / (sin h + 0.50572 (h + 6.07995)^-1.6364)        h elevation [degrees]
    beam            B = 1353 x 0.7^(m^0.678) [W/m2], and a tenth of it diffuse
    on the plane    I = B (max(0, cos incidence) + 0.1 (1 + cos tilt) / 2)

Sources: Spencer, Search 2 (1971) 172; Kasten and Young, Applied Optics 28 (1989) 4735; Meinel and Meinel, Applied Solar
Energy (1976), for the beam and the tenth. Without refraction: up to half a degree low at the horizon.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from aggregator_agents.fleet import FloatArray

_DAY_S: Final = 86_400.0
_YEAR_DAYS: Final = 365.2425


@dataclass(frozen=True)
class Sun:
    """Directions to the sun, (time,) each: towards east, north and up; together of length 1."""

    east: FloatArray
    north: FloatArray
    up: FloatArray


def sun_at(times_s: FloatArray, *, latitude_deg: float, longitude_deg: float) -> Sun:
    """The sun at `times_s` [s since 1970 in UTC], seen from a place (north and east positive)."""
    angle = year_angle(times_s)
    declination = (
        0.006918
        - 0.399912 * np.cos(angle)
        + 0.070257 * np.sin(angle)
        - 0.006758 * np.cos(2 * angle)
        + 0.000907 * np.sin(2 * angle)
        - 0.002697 * np.cos(3 * angle)
        + 0.00148 * np.sin(3 * angle)
    )
    late_min = 229.18 * (
        0.000075
        + 0.001868 * np.cos(angle)
        - 0.032077 * np.sin(angle)
        - 0.014615 * np.cos(2 * angle)
        - 0.040849 * np.sin(2 * angle)
    )
    solar_h = times_s % _DAY_S / 3600 + longitude_deg / 15 + late_min / 60
    hour = np.radians(15 * (solar_h - 12))
    latitude = np.radians(latitude_deg)
    return Sun(
        east=-np.cos(declination) * np.sin(hour),
        north=np.cos(latitude) * np.sin(declination) - np.sin(latitude) * np.cos(declination) * np.cos(hour),
        up=np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour),
    )


def clear_sky_w_per_m2(sun: Sun, *, tilt_deg: float, azimuth_deg: float) -> FloatArray:
    """(time,) irradiance on a plane; azimuth from north over east, so that 180 looks south."""
    tilt, azimuth = np.radians(tilt_deg), np.radians(azimuth_deg)
    level = np.sin(tilt)
    facing = level * (np.sin(azimuth) * sun.east + np.cos(azimuth) * sun.north) + np.cos(tilt) * sun.up
    height = np.clip(sun.up, 1e-3, 1.0)
    air_mass = 1 / (height + 0.50572 * (np.degrees(np.arcsin(height)) + 6.07995) ** -1.6364)
    beam = np.where(sun.up > 0, 1353 * 0.7 ** (air_mass**0.678), 0.0)
    irradiance: FloatArray = beam * (np.maximum(facing, 0.0) + 0.1 * (1 + np.cos(tilt)) / 2)
    return irradiance


def year_angle(times_s: FloatArray) -> FloatArray:
    """(time,) how far the year has gone, 0 to 2 pi; mean years from 1970 on, so up to a day beside the calendar."""
    angle: FloatArray = 2 * np.pi * (times_s / _DAY_S / _YEAR_DAYS % 1.0)
    return angle
