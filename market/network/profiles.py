"""Load as time series of any length, from CSV or Parquet: one row for each step and bus (and phase)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from api_spec.case import Injection
from api_spec.grid import Phase
from api_spec.period import MarketPeriod
from market.errors import BadLoadFile, LoadNotKnown, NoLoadForPeriod
from market.network.model import PHASES, FloatArray, IntArray

_COLUMNS: Final = ("time", "bus", "p_w", "q_var")
_SECOND: Final = timedelta(seconds=1)
_DAY_S: Final = 86_400
_WEEK: Final = 7


@dataclass(frozen=True, eq=False)
class Profiles:
    """Mean load of every step from `start` on at some places [W], [var], consumption positive.

    name : for people. places : bus and phase, None = balanced. p_w, q_var : (step, place). yearly : whole days that
    stand for those of any year, see `_same_weekday`.
    """

    name: str
    start: datetime
    step: timedelta
    places: tuple[tuple[str, Phase | None], ...]
    p_w: FloatArray
    q_var: FloatArray
    yearly: bool = False

    def __post_init__(self) -> None:
        """Yearly profiles are of whole days."""
        if self.yearly and (timedelta(days=1) % self.step or (len(self.p_w) * self.step) % timedelta(days=1)):
            raise BadLoadFile(self.name, ["a year of profiles is of whole days in equal steps"])

    @property
    def end(self) -> datetime:
        """When the last step ends."""
        return self.start + len(self.p_w) * self.step

    def injections(self, period: MarketPeriod) -> tuple[Injection, ...]:
        """Load of each place and period; a longer period takes the mean of the steps that it covers.

        NoLoadForPeriod where steps and periods do not fit into each other, LoadNotKnown outside of what is known.
        """
        steps = self._steps(period)
        p_w, q_var = (values[steps].mean(axis=1).T.tolist() for values in (self.p_w, self.q_var))
        return tuple(
            Injection(bus=bus, phase=phase, p_w=tuple(p), q_var=tuple(q))
            for (bus, phase), p, q in zip(self.places, p_w, q_var, strict=True)
        )

    def _steps(self, period: MarketPeriod) -> IntArray:
        """(period, step) the steps that every period covers."""
        step, asked = self.step, period.resolution
        if asked % step and step % asked:
            raise NoLoadForPeriod(self.name, step, asked)
        begins = [(start - self.start) // _SECOND for start in period.starts()]
        if any(each % min(step // _SECOND, asked // _SECOND) for each in begins):
            raise NoLoadForPeriod(self.name, step, asked)
        if self.yearly:
            begins = [
                _same_weekday(each, self.start, days=len(self.p_w) * step // timedelta(days=1)) for each in begins
            ]
        elif period.start < self.start or period.end > self.end:
            raise LoadNotKnown(self.name, known=(self.start, self.end), asked=(period.start, period.end))
        covered = np.arange(max(1, asked // step))
        first: IntArray = np.array(begins, dtype=np.intp) // (step // _SECOND)
        found: IntArray = first[:, None] + covered
        return found % len(self.p_w)


def _same_weekday(seconds: int, start: datetime, *, days: int) -> int:
    """Seconds since `start` of the day of its year that lies nearest to this one and is the same day of the week.

    Days begin at the time of day of `start`. So a working day stays one, in the same season, and days follow each other
    but at the turn of the year.
    """
    day, rest = divmod(seconds, _DAY_S)
    asked = start + timedelta(days=day)
    try:
        same = asked.replace(year=start.year)
    except ValueError:
        same = asked.replace(year=start.year, day=28)
    near = (same - start).days
    near += (day - near + 3) % _WEEK - 3
    near += _WEEK * ((near < 0) - (near >= days))
    return near * _DAY_S + rest


def read_profiles(path: Path, *, yearly: bool = False) -> Profiles:
    """Profiles of a CSV or Parquet file with columns time, bus, p_w, q_var and, where there is one, phase.

    time : begin of a step, with an offset in CSV and a time zone in Parquet. Every place has every step once. Raises
    BadLoadFile.
    """
    table = _read(path)
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise BadLoadFile(str(path), [f'has no column "{name}"' for name in missing])
    if not len(table):
        raise BadLoadFile(str(path), ["has no row"])
    rows = _Rows.of(path, table)
    return rows.profiles(path, yearly=yearly)


def _read(path: Path) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            return pa.parquet.read_table(path)
        kinds = {"time": pa.timestamp("us", tz="UTC"), "bus": pa.string(), "phase": pa.string()}
        kinds |= {"p_w": pa.float64(), "q_var": pa.float64()}
        return pa.csv.read_csv(path, convert_options=pa.csv.ConvertOptions(column_types=kinds))
    except (OSError, pa.ArrowInvalid) as failure:
        raise BadLoadFile(str(path), [f"cannot be read ({failure})"]) from failure


@dataclass(frozen=True, eq=False)
class _Rows:
    """The columns of a file: seconds since 1970, "bus phase" of every row, and power."""

    times_s: IntArray
    places: np.typing.NDArray[np.str_]
    p_w: FloatArray
    q_var: FloatArray

    @classmethod
    def of(cls, path: Path, table: pa.Table) -> Self:
        """Of a table that has them all."""
        kind = table["time"].type
        if not pa.types.is_timestamp(kind) or kind.tz is None:
            raise BadLoadFile(str(path), ["time: must be a time with a zone"])
        empty = [name for name in table.column_names if name != "phase" and table[name].null_count]
        if empty:
            raise BadLoadFile(str(path), [f"{name}: has empty cells" for name in empty])
        buses = table["bus"].cast(pa.string()).to_numpy(zero_copy_only=False).astype(str)
        phases = np.full(len(buses), "")
        if "phase" in table.column_names:
            phases = table["phase"].cast(pa.string()).fill_null("").to_numpy(zero_copy_only=False).astype(str)
        wrong = sorted(set(phases.tolist()) - {"", *PHASES})
        if wrong:
            raise BadLoadFile(str(path), [f'phase: "{each}" is none of a, b, c' for each in wrong])
        try:
            seconds = table["time"].cast(pa.timestamp("s", tz="UTC")).cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid as failure:
            raise BadLoadFile(str(path), ["time: must be whole seconds"]) from failure
        try:
            p_w, q_var = (table[name].cast(pa.float64()).to_numpy() for name in ("p_w", "q_var"))
        except pa.ArrowInvalid as failure:
            raise BadLoadFile(str(path), [f"p_w, q_var: must be numbers ({failure})"]) from failure
        if not (np.isfinite(p_w).all() and np.isfinite(q_var).all()):
            raise BadLoadFile(str(path), ["p_w, q_var: must be finite numbers"])
        return cls(seconds.astype(np.intp), np.char.add(np.char.add(buses, "\n"), phases), p_w, q_var)

    def profiles(self, path: Path, *, yearly: bool) -> Profiles:
        """As arrays; BadLoadFile where steps are missing, doubled or of different lengths."""
        times_s, step = np.unique(self.times_s, return_inverse=True)
        names, place = np.unique(self.places, return_inverse=True)
        lengths = np.unique(np.diff(times_s))
        if len(lengths) != 1:
            raise BadLoadFile(str(path), ["time: needs steps of one length, two at least"])
        count = np.zeros((len(times_s), len(names)), dtype=np.intp)
        np.add.at(count, (step, place), 1)
        if (count != 1).any():
            at, own = np.argwhere(count != 1)[0]
            when, (bus, phase) = datetime.fromtimestamp(int(times_s[at]), UTC), names[own].split("\n")
            where = f"{bus} phase {phase}" if phase else bus
            raise BadLoadFile(str(path), [f"{where} at {when.isoformat()} is there {count[at, own]} times"])
        p_w, q_var = np.empty(count.shape), np.empty(count.shape)
        p_w[step, place], q_var[step, place] = self.p_w, self.q_var
        return Profiles(
            name=path.name,
            start=datetime.fromtimestamp(int(times_s[0]), UTC),
            step=timedelta(seconds=int(lengths[0])),
            places=tuple(_place(each) for each in names.tolist()),
            p_w=p_w,
            q_var=q_var,
            yearly=yearly,
        )


def _place(name: str) -> tuple[str, Phase | None]:
    bus, phase = name.split("\n")
    return bus, next((each for each in PHASES if each == phase), None)
