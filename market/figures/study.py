"""A study of instruments as its tables and report read it: what an instrument does at a penetration, over all seeds.

over dumb charging                  P / D          P : the fleet's peak under an instrument. D : under dumb charging
avoided of the synchronised peak    (S - P) / S    S : under time of use

Both by the same drivers: at the same penetration, under the same seed. Where nobody drives there is no ratio.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from market.figures.study_page import worded
from market.network.model import FloatArray

DUMB: Final = "dumb"
SYNCHRONISING: Final = "time-of-use"
PLACE: Final = ("instrument", "penetration", "seed")
Place = tuple[str, float, int | None]
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Spread:
    """One figure under several seeds. values : where it is known."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float | None:
        """Over seeds; None where it is not known under any."""
        return float(np.mean(self.values)) if self.values else None

    @property
    def deviation(self) -> float | None:
        """The sample's standard deviation over seeds; None of fewer than two."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None

    def text(self, form: str, *, per_unit: float = 1.0) -> str:
        """`488 ± 12`; a single value alone, and nothing where none is known."""
        mean, deviation = (worded(each, form, per_unit=per_unit) for each in (self.mean, self.deviation))
        return f"{mean} ± {deviation}" if deviation else mean


@dataclass(frozen=True, eq=False)
class Row:
    """An instrument at a penetration.

    figures : measures (market.simulation.measures), over_dumb, avoided and seconds. peaks_at : local, when the fleet
    draws most under each seed; none where nobody drives. starts, fleet_w : (step,) of the first seed, local [W].
    """

    instrument: str
    title: str
    penetration: float
    figures: Mapping[str, Spread]
    peaks_at: tuple[datetime, ...]
    starts: tuple[datetime, ...]
    fleet_w: FloatArray

    @property
    def peak_at(self) -> str:
        """The clock at the peak: `00:15`, or under several seeds from the first to the last, `18:05 to 18:40`."""
        clocks = sorted(self.peaks_at, key=lambda at: (at - self.starts[0]) % _DAY)
        first, last = (f"{clocks[at]:%H:%M}" if clocks else "" for at in (0, -1))
        return first if first == last else f"{first} to {last}"


@dataclass(frozen=True, eq=False)
class Study:
    """A study's folder.

    title : of the scenario. zone : whose clock is shown. seeds : None for the scenario's own. notes : what each
    instrument is, by its title. rows : by penetration, then by instrument.
    """

    title: str
    zone: ZoneInfo
    seeds: tuple[int | None, ...]
    notes: Mapping[str, str]
    rows: tuple[Row, ...]

    @classmethod
    def of(
        cls, document: Mapping[str, Any], measures: pa.Table, profiles: pa.Table, *, seconds: Mapping[Place, float]
    ) -> Self:
        """From study.json and the two tables of a study's folder."""
        told, zone = document["instruments"], ZoneInfo(document["timezone"])
        drawn = _profiles(profiles, zone)
        cells: dict[tuple[float, str], list[dict[str, Any]]] = {}
        for each in measures.to_pylist():
            took = seconds[each["instrument"], each["penetration"], each["seed"]]
            cells.setdefault((each["penetration"], each["instrument"]), []).append(each | {"seconds": took})
        rows = []
        for (share, name), own in cells.items():
            nights = [drawn[name, share, each["seed"]] for each in own]
            rows.append(
                Row(
                    instrument=name,
                    title=told[name]["title"],
                    penetration=share,
                    figures={key: _spread(own, key) for key in own[0] if key not in PLACE},
                    peaks_at=tuple(starts[int(np.argmax(fleet_w))] for starts, fleet_w in nights if fleet_w.any()),
                    starts=nights[0][0],
                    fleet_w=nights[0][1],
                )
            )
        order = list(told)
        return cls(
            title=document["title"],
            zone=zone,
            seeds=tuple(dict.fromkeys(measures["seed"].to_pylist())),
            notes={each["title"]: each["note"] for each in told.values()},
            rows=tuple(sorted(rows, key=lambda row: (row.penetration, order.index(row.instrument)))),
        )

    @property
    def penetrations(self) -> tuple[float, ...]:
        """In rising order."""
        return tuple(dict.fromkeys(each.penetration for each in self.rows))

    @property
    def titles(self) -> Mapping[str, str]:
        """Of instruments by their names, in the order of the study."""
        return {each.instrument: each.title for each in self.rows}

    def at(self, penetration: float) -> tuple[Row, ...]:
        """All instruments at one penetration."""
        return tuple(each for each in self.rows if each.penetration == penetration)

    def spread(self, instrument: str, penetration: float, figure: str) -> Spread:
        """One figure; without values where it was not run."""
        found = (each for each in self.at(penetration) if each.instrument == instrument)
        return next((each.figures[figure] for each in found), Spread(()))


def _spread(cells: Sequence[Mapping[str, Any]], figure: str) -> Spread:
    return Spread(tuple(each[figure] for each in cells if each[figure] is not None))


def _profiles(table: pa.Table, zone: ZoneInfo) -> dict[Place, tuple[tuple[datetime, ...], FloatArray]]:
    """Local starts of the steps, and what the fleet draws in them, by the place of the cell."""
    found: dict[Place, tuple[list[datetime], list[float]]] = {}
    for each in table.select(["instrument", "penetration", "seed", "start", "fleet_w"]).to_pylist():
        starts, fleet_w = found.setdefault((each["instrument"], each["penetration"], each["seed"]), ([], []))
        starts.append(each["start"].astimezone(zone))
        fleet_w.append(each["fleet_w"])
    return {place: (tuple(starts), np.array(fleet_w)) for place, (starts, fleet_w) in found.items()}
