"""A study of instruments as its table and report read it: every cell with its measures, compared with two of them.

avoided of the synchronised peak    (S - P) / S    P : the fleet's peak under an instrument. S : under time of use, at
                                                   the same penetration
over dumb charging                  P / D          D : under dumb charging
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from market.network.model import FloatArray

DUMB: Final = "dumb"
SYNCHRONISING: Final = "time-of-use"
Place = tuple[str, float]


@dataclass(frozen=True, eq=False)
class Row:
    """One cell.

    measures : see market.simulation.measures. over_dumb, avoided : see above; None where there is nothing to compare
    with, or nobody drives. starts : local. fleet_w, source_w : (period,) [W].
    """

    instrument: str
    title: str
    penetration: float
    measures: Mapping[str, float]
    over_dumb: float | None
    avoided: float | None
    seconds: float
    starts: tuple[datetime, ...]
    fleet_w: FloatArray
    source_w: FloatArray

    @property
    def peak_at(self) -> datetime:
        """When the fleet draws most."""
        return self.starts[int(np.argmax(self.fleet_w))]


@dataclass(frozen=True, eq=False)
class Study:
    """A study's folder.

    title : of the scenario. zone : whose clock is shown. notes : what each instrument is, by its title. rows : by
    penetration, then by instrument.
    """

    title: str
    zone: ZoneInfo
    notes: Mapping[str, str]
    rows: tuple[Row, ...]

    @classmethod
    def of(
        cls, document: Mapping[str, Any], measures: pa.Table, profiles: pa.Table, *, seconds: Mapping[Place, float]
    ) -> Self:
        """From study.json and the two tables of a study's folder."""
        told, zone = document["instruments"], ZoneInfo(document["timezone"])
        profile: dict[Place, list[Mapping[str, Any]]] = {}
        for each in profiles.to_pylist():
            profile.setdefault((each["instrument"], each["penetration"]), []).append(each)
        found = measures.to_pylist()
        peaks_w = {(each["instrument"], each["penetration"]): each["fleet_peak_w"] for each in found}
        rows = []
        for each in found:
            place = name, share = each.pop("instrument"), each.pop("penetration")
            own = profile[place]
            rows.append(
                Row(
                    instrument=name,
                    title=told[name]["title"],
                    penetration=share,
                    measures=each,
                    over_dumb=peaks_w[place] / dumb_w if (dumb_w := peaks_w.get((DUMB, share))) else None,
                    avoided=1 - peaks_w[place] / tou_w if (tou_w := peaks_w.get((SYNCHRONISING, share))) else None,
                    seconds=seconds[place],
                    starts=tuple(period["start"].astimezone(zone) for period in own),
                    fleet_w=np.array([period["fleet_w"] for period in own]),
                    source_w=np.array([period["source_w"] for period in own]),
                )
            )
        return cls(document["title"], zone, {each["title"]: each["note"] for each in told.values()}, tuple(rows))

    @property
    def penetrations(self) -> tuple[float, ...]:
        """In rising order."""
        return tuple(sorted({each.penetration for each in self.rows}))

    @property
    def instruments(self) -> tuple[str, ...]:
        """In the order of the study."""
        return tuple(dict.fromkeys(each.instrument for each in self.rows))

    def at(self, penetration: float) -> tuple[Row, ...]:
        """The cells of one penetration."""
        return tuple(each for each in self.rows if each.penetration == penetration)

    def of_instrument(self, name: str) -> tuple[Row, ...]:
        """The cells of one instrument."""
        return tuple(each for each in self.rows if each.instrument == name)

    def finding(self) -> str:
        """In a sentence, whether a time-of-use tariff synchronises the fleet, at the highest penetration."""
        most = self.penetrations[-1]
        rows = {each.instrument: each for each in self.at(most)}
        if DUMB not in rows or SYNCHRONISING not in rows:
            return "Dumb charging and a time-of-use tariff are not both in this study: nothing to compare peaks with."
        dumb, tou = rows[DUMB], rows[SYNCHRONISING]
        if tou.over_dumb is None:
            return "Nobody drives at this penetration."
        peaks = [tou.measures["fleet_peak_w"] / 1e3, dumb.measures["fleet_peak_w"] / 1e3]
        return (
            f"At {most:.0%} penetration, fleets under the time-of-use tariff draw up to {peaks[0]:,.0f} kW at "
            f"{tou.peak_at:%H:%M}, {tou.over_dumb:.2f} times the {peaks[1]:,.0f} kW that dumb charging draws at "
            f"{dumb.peak_at:%H:%M}."
        )
