"""Makes the feeder `risoe-three-phase`; run as `python -m market.network.feeders.make_risoe_three_phase`.

It is `risoe` phase by phase; what was added stands in `risoe-three-phase/SOURCE.md`.
"""

import json
from pathlib import Path
from typing import Any, Final

from market.network.feeders import make_risoe as balanced

ROTATION: Final = "aababc"
"""Phases of the homes of a street, from its first on and over again: three of six are on a, two on b, one on c."""

ZERO_TO_POSITIVE: Final = 4.0
"""r0 / r1 and x0 / x1 of a cable with four equal cores, whose current returns through the fourth core alone."""

FOLDER: Final = Path(__file__).parent / "risoe-three-phase"


def network() -> dict[str, Any]:
    """The buses, cables and transformer of `risoe`, cables with their zero sequence."""
    single = balanced.network()
    lines = [cable(**line) for line in single["lines"]]
    return {**single, "name": "risoe-three-phase", "phases": 3, "lines": lines}


def cable(*, r_ohm: float, x_ohm: float, **line: Any) -> dict[str, Any]:
    """A cable of `risoe` in sequence values."""
    return {
        **line,
        "r1_ohm": r_ohm,
        "x1_ohm": x_ohm,
        "r0_ohm": round(ZERO_TO_POSITIVE * r_ohm, 9),
        "x0_ohm": round(ZERO_TO_POSITIVE * x_ohm, 9),
    }


def load() -> dict[str, Any]:
    """The day of `risoe`: every home in its phase, the office in all three."""
    single = balanced.load()
    buses = dict(single["buses"])
    by_phase: dict[str, dict[str, Any]] = {"a": {}, "b": {}, "c": {}}
    for street in balanced.STREETS:
        for home in range(street.homes):
            bus = f"{street.name}-{home + 1:02}"
            by_phase[ROTATION[home % len(ROTATION)]][bus] = buses.pop(bus)
    return {**single, "buses": buses, "by_phase": by_phase}


def main() -> None:
    """Write both files."""
    for name, document in (("network", network()), ("load", load())):
        (FOLDER / f"{name}.json").write_text(json.dumps(document) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
