"""pandapower networks saved as JSON (`pandapower.to_json`)."""

import json
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from market.errors import BadNetworkFile
from market.network.readers.report import Dropped, ReadNetwork, checked, identifiers, library, loads, reached

_KEPT: Final = frozenset({"bus", "line", "trafo", "ext_grid", "load", "sgen", "gen", "storage", "switch"})
_BESIDE_THE_GRID: Final = ("geodata", "poly_cost", "pwl_cost", "controller", "measurement", "group", "characteristic")


def read_pandapower(path: Path) -> ReadNetwork:
    """The network of a pandapower JSON file, balanced, in the state that its switches and taps are in.

    Buses joined by closed switches become one; transformers behind an open one are left out. Generators become fixed
    injections. Raises BadNetworkFile, and ReaderUnavailable without the package `pandapower`.
    """
    pandapower = library("pandapower")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as failure:
        raise BadNetworkFile(path, [f"cannot be read as JSON ({failure})"]) from failure
    if not isinstance(document, dict) or document.get("_class") != "pandapowerNet":
        raise BadNetworkFile(path, ["is no pandapower network"])
    net = pandapower.from_json(str(path))
    if net.bus.empty:
        raise BadNetworkFile(path, ["has no bus"])
    return _Net(path, net).read()


def read_loaded(net: Any, *, name: str) -> tuple[ReadNetwork, dict[Hashable, str]]:
    """The same of a pandapower network that another package has made, and the id of each of its buses that is kept."""
    own = _Net(Path(f"{name}.json"), net)
    read = own.read()
    return read, {bus: id for bus, id in own.bus_ids.items() if id in read.network.bus_ids}


@dataclass(frozen=True)
class _Branch:
    """A row of the table of lines or transformers, and the buses that it joins."""

    row: Any
    start: Hashable
    end: Hashable


class _Net:
    """One pandapower network while it is read."""

    def __init__(self, path: Path, net: Any) -> None:
        """Of a loaded network."""
        self._path, self._net = path, net
        self._dropped: list[Dropped] = []
        self._joined = self._join()
        self._names = identifiers("bus", {key: net.bus.name.at[key] for key in dict.fromkeys(self._joined.values())})
        self._like: dict[Hashable, Hashable] = {}

    def read(self) -> ReadNetwork:
        """The network, its load and the report."""
        self._report_tables()
        source, voltage_pu = self._source()
        lines, transformers = self._lines(), self._transformers()
        kept = reached(source, [(each.start, each.end) for each in (*lines, *transformers)])
        self._report(len(set(self._joined.values()) - kept), "buses", "not connected to the external grid: left out")
        lines, transformers = ([each for each in some if each.start in kept] for some in (lines, transformers))
        names = identifiers("line", {("line", each.row.Index): each.row.name for each in lines}) | identifiers(
            "trafo", {("trafo", each.row.Index): each.row.name for each in transformers}
        )
        if len(set(names.values())) < len(names):
            names = {key: f"{key[0]}-{key[1]}" for key in names}  # type: ignore[index]
        document = {
            "name": re.sub(r"[^A-Za-z0-9._-]", "-", self._path.stem),
            "phases": 1,
            "source": {"bus": self._names[source], "voltage_pu": voltage_pu},
            "buses": [self._bus(key) for key in self._names if key in kept],
            "lines": [self._line(each, names["line", each.row.Index]) for each in lines],
            "transformers": [self._transformer(each, names["trafo", each.row.Index]) for each in transformers],
        }
        within = {self._names[key] for key in kept}
        load = loads(each for each in self._power() if each[0] in within)
        return ReadNetwork(checked(self._path, document), load, tuple(self._dropped))

    @property
    def bus_ids(self) -> dict[Hashable, str]:
        """The id of what every bus in service is part of."""
        return {bus: self._names[first] for bus, first in self._joined.items()}

    def _join(self) -> dict[Hashable, Hashable]:
        """For every bus in service the first one that closed switches join it with."""
        net = self._net
        buses = net.bus.index[net.bus.in_service.astype(bool)]
        between = net.switch[(net.switch.et == "b") & net.switch.closed.astype(bool)]
        edges = [(each.bus, each.element) for each in between.itertuples()]
        joined: dict[Hashable, Hashable] = {}
        for bus in buses:
            if bus not in joined:
                joined |= dict.fromkeys(reached(bus, edges) & set(buses), bus)
        return joined

    def _source(self) -> tuple[Hashable, float]:
        grids = [each for each in self._net.ext_grid.itertuples() if each.in_service]
        if len(grids) != 1:
            raise BadNetworkFile(self._path, [f"has {len(grids)} external grids in service; it needs one"])
        return self._joined[grids[0].bus], float(grids[0].vm_pu)

    def _lines(self) -> list[_Branch]:
        """Lines in service. One that is open at one end stays, with its charging, as a stub to a bus of its own."""
        found = []
        for row in self._net.line.itertuples():
            ends = [row.from_bus, row.to_bus]
            closed = [self._is_closed("l", row.Index, bus) and bus in self._joined for bus in ends]
            if not row.in_service or not any(closed):
                continue
            start, end = (
                self._joined[bus] if shut else self._stub(row, self._joined[ends[1 - at]])
                for at, (bus, shut) in enumerate(zip(ends, closed, strict=True))
            )
            found.append(_Branch(row, start, end))
        return self._apart("lines", len(self._net.line), found)

    def _transformers(self) -> list[_Branch]:
        """Transformers in service, both sides switched on."""
        found = [
            _Branch(row, self._joined[row.hv_bus], self._joined[row.lv_bus])
            for row in self._net.trafo.itertuples()
            if row.in_service
            and all(bus in self._joined and self._is_closed("t", row.Index, bus) for bus in (row.hv_bus, row.lv_bus))
        ]
        return self._apart("transformers", len(self._net.trafo), found)

    def _is_closed(self, kind: str, element: int, bus: int) -> bool:
        switch = self._net.switch
        own = switch[(switch.et == kind) & (switch.element == element) & (switch.bus == bus)]
        return bool(own.closed.astype(bool).all())

    def _stub(self, row: Any, beside: Hashable) -> Hashable:
        """A bus at the open end of a line."""
        key = ("open end of line", row.Index)
        self._names[key] = f"line-{row.Index}-open-end"
        self._like[key] = beside
        return key

    def _apart(self, what: str, count: int, found: list[_Branch]) -> list[_Branch]:
        """Without those whose ends closed switches join."""
        self._report(count - len(found), what, "switched off: left out")
        apart = [each for each in found if each.start != each.end]
        self._report(len(found) - len(apart), what, "both ends joined by closed switches: left out")
        return apart

    def _bus(self, key: Hashable) -> dict[str, Any]:
        row = self._net.bus.loc[self._like.get(key, key)]
        band = {
            name: float(row[column])
            for name, column in (("min_pu", "min_vm_pu"), ("max_pu", "max_vm_pu"))
            if column in row and np.isfinite(row[column]) and row[column] > 0
        }
        if band.get("min_pu", 0.9) >= band.get("max_pu", 1.1):
            self._dropped.append(Dropped(self._names[key], "its voltage band is no band: left at 0.9 to 1.1 pu"))
            band = {}
        return {"id": self._names[key], "nominal_v": float(row.vn_kv) * 1e3, **band}

    def _line(self, branch: _Branch, name: str) -> dict[str, Any]:
        row = branch.row
        km, parallel = row.length_km, row.parallel
        if getattr(row, "g_us_per_km", 0.0):
            self._dropped.append(Dropped(name, "its shunt conductance is left out"))
        susceptance = 2 * np.pi * self._net.f_hz * row.c_nf_per_km * 1e-9
        rating = {"rating_a": row.max_i_ka * 1e3 * row.df * parallel} if row.max_i_ka < 1e3 else {}
        return {
            "id": name,
            "from": self._names[branch.start],
            "to": self._names[branch.end],
            "r_ohm": row.r_ohm_per_km * km / parallel,
            "x_ohm": row.x_ohm_per_km * km / parallel,
            "b_s": susceptance * km * parallel,
            **rating,
        }

    def _transformer(self, branch: _Branch, name: str) -> dict[str, Any]:
        """Taps and rated voltages that differ from the buses' become the ratio; impedance is at the low side."""
        row, hv, lv = branch.row, branch.start, branch.end
        hv_kv, lv_kv = row.vn_hv_kv, row.vn_lv_kv
        tap = (row.tap_pos - row.tap_neutral) * row.tap_step_percent / 100
        if np.isfinite(tap):
            hv_kv, lv_kv = (hv_kv * (1 + tap), lv_kv) if row.tap_side == "hv" else (hv_kv, lv_kv * (1 + tap))
        bus_hv_kv, bus_lv_kv = (float(self._net.bus.vn_kv.at[each]) for each in (hv, lv))
        if row.shift_degree:
            self._dropped.append(Dropped(name, f"its phase shift of {row.shift_degree:g} degrees is left out"))
        to_bus_base = (lv_kv / bus_lv_kv) ** 2
        return {
            "id": name,
            "from": self._names[hv],
            "to": self._names[lv],
            "rated_va": row.sn_mva * 1e6 * row.parallel,
            "vk_percent": row.vk_percent * to_bus_base,
            "vkr_percent": row.vkr_percent * to_bus_base,
            "tap_ratio": (hv_kv / bus_hv_kv) / (lv_kv / bus_lv_kv),
            "pfe_w": row.pfe_kw * 1e3 * row.parallel / to_bus_base,
            "i0_percent": row.i0_percent / to_bus_base,
        }

    def _power(self) -> Iterator[tuple[str, float, float]]:
        """Loads and storages, less static and rotating generators."""
        for table, sign in (("load", 1e6), ("storage", 1e6), ("sgen", -1e6), ("gen", -1e6)):
            for row in self._net[table].itertuples():
                if row.in_service and row.bus in self._joined:
                    bus, scaling = self._names[self._joined[row.bus]], getattr(row, "scaling", 1.0)
                    yield bus, sign * row.p_mw * scaling, sign * getattr(row, "q_mvar", 0.0) * scaling

    def _report_tables(self) -> None:
        """What has no place in a network, and loads that are more than constant power."""
        net = self._net
        for name, table in net.items():
            is_part = hasattr(table, "itertuples") and not name.startswith(("res_", "_"))
            if is_part and name not in _KEPT and not any(each in name for each in _BESIDE_THE_GRID):
                self._report(len(table), name, "a network has none: left out")
        self._report(len(net.gen), "generators", "kept at their P, Q = 0; hold no voltage")
        shares = [name for name in net.load.columns if name.startswith("const_") and net.load[name].any()]
        self._report(len(shares), "columns of voltage-dependent load", "loads are of constant power")

    def _report(self, count: int, what: str, why: str) -> None:
        if count:
            self._dropped.append(Dropped(f"{count} {what}", why))
