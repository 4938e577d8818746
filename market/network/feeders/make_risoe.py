"""Makes the feeder `risoe`; run as `python -m market.network.feeders.make_risoe`. The same seed gives the same files.

What is taken from where stands in `risoe/SOURCE.md`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from market.network.model import FloatArray

SEED: Final = 20260115
STEPS: Final = 96
HOURS: Final = np.arange(STEPS) / 4
FOLDER: Final = Path(__file__).parent / "risoe"


@dataclass(frozen=True)
class Cable:
    """r, x [ohm/km], rating in the ground [A]: four-core aluminium cables of the NAYY kind, 0.6/1 kV."""

    r: float
    x: float
    rating_a: float


NAYY_150: Final = Cable(0.208, 0.080, 270.0)
NAYY_50: Final = Cable(0.642, 0.083, 142.0)


@dataclass(frozen=True)
class Street:
    """A row of homes behind one cable from the station; the first span and the spans between homes [m]."""

    name: str
    homes: int
    cable: Cable
    first_m: float
    span_m: float


STREETS: Final = (
    Street("nord", 16, NAYY_150, 120, 22),
    Street("syd", 12, NAYY_150, 60, 25),
    Street("vest", 14, NAYY_150, 160, 24),
    Street("oest", 14, NAYY_50, 40, 16),
)


def network() -> dict[str, Any]:
    """Buses and elements in the wire form."""
    buses = [{"id": "mv", "nominal_v": 10_000, "min_pu": 0.9, "max_pu": 1.1}, low_voltage("station")]
    transformer = {
        "id": "transformer",
        "from": "mv",
        "to": "station",
        "rated_va": 400_000,
        "vk_percent": 4.0,
        "vkr_percent": 1.15,
        "pfe_w": 610,
        "i0_percent": 0.3,
        "vector_group": "Dyn5",
    }
    lines = []

    def add(line: str, start: str, end: str, cable: Cable, metres: float) -> None:
        buses.append(low_voltage(end))
        km = metres / 1000
        r, x = round(cable.r * km, 9), round(cable.x * km, 9)
        lines.append({"id": line, "from": start, "to": end, "r_ohm": r, "x_ohm": x, "rating_a": cable.rating_a})

    add("campus", "station", "campus", NAYY_50, 90)
    add("campus-lot", "campus", "lot", NAYY_50, 40)
    add("campus-office", "campus", "office", NAYY_50, 30)
    for street in STREETS:
        before = "station"
        for home in range(1, street.homes + 1):
            bus = f"{street.name}-{home:02}"
            add(bus, before, bus, street.cable, street.first_m if home == 1 else street.span_m)
            before = bus
    source = {"bus": "mv", "voltage_pu": 1.0}
    return {
        "name": "risoe",
        "phases": 1,
        "source": source,
        "buses": buses,
        "lines": lines,
        "transformers": [transformer],
    }


def low_voltage(bus: str) -> dict[str, Any]:
    """A 400 V bus. The band leaves 4 % to the medium-voltage network, of the 10 % of EN 50160."""
    return {"id": bus, "nominal_v": 400, "min_pu": 0.94, "max_pu": 1.06}


def load() -> dict[str, Any]:
    """One winter weekday of homes and office."""
    random = np.random.default_rng(SEED)
    buses = {"office": day_of(office_w(random), power_factor=0.95)}
    for street in STREETS:
        for home in range(1, street.homes + 1):
            buses[f"{street.name}-{home:02}"] = day_of(home_w(random), power_factor=0.97)
    return {"timezone": "Europe/Copenhagen", "resolution": "PT15M", "buses": buses}


def home_w(random: np.random.Generator) -> FloatArray:
    """A home without its charger: about 12 kWh a day, morning and evening humps, appliances that come and go."""
    size = random.lognormal(mean=0.0, sigma=0.25)
    late = random.normal(0.0, 0.5)
    shape = 260 + 420 * hump(7.2 + late / 2, 1.1) + 180 * hump(12.5, 2.0) + 900 * hump(18.4 + late, 1.7)
    appliance = np.zeros(STEPS)
    for _ in range(3):
        at = int(random.choice(STEPS, p=shape / shape.sum()))
        appliance[at : at + int(random.integers(2, 6))] += random.uniform(300, 900)
    return size * shape * random.uniform(0.85, 1.15, STEPS) + appliance


def office_w(random: np.random.Generator) -> FloatArray:
    """The campus building: lights, ventilation and machines from 7 to 17 o'clock, most before noon."""
    working = 1 / (1 + np.exp(-(HOURS - 7.4) * 4)) - 1 / (1 + np.exp(-(HOURS - 16.2) * 2.5))
    return (9_000 + 34_000 * working + 20_000 * hump(9.4, 1.1)) * random.uniform(0.98, 1.02, STEPS)


def hump(centre_h: float, width_h: float) -> FloatArray:
    """1 at `centre_h`, falling off as a Gaussian over the hours of the day."""
    away = np.abs(HOURS - centre_h)
    shape: FloatArray = np.exp(-((np.minimum(away, 24 - away) / width_h) ** 2))
    return shape


def day_of(p_w: FloatArray, *, power_factor: float) -> dict[str, list[int]]:
    """Whole watts and the reactive power of the power factor, inductive."""
    tangent = np.sqrt(1 / power_factor**2 - 1)
    return {"p_w": [int(each) for each in p_w.round()], "q_var": [int(each) for each in (p_w * tangent).round()]}


def main() -> None:
    """Write both files."""
    for name, document in (("network", network()), ("load", load())):
        (FOLDER / f"{name}.json").write_text(json.dumps(document) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
