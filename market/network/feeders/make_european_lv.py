"""Makes the feeder `european-lv`; run with the extra `grid` installed, for the package `pandapower`.

    python -m market.network.feeders.make_european_lv

What is published and what is ours stands in `european-lv/SOURCE.md`. The same seed gives the same files.
"""

import json
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import numpy as np

from api_spec.grid import Phase
from market.network.feeders.make_risoe import day_of, home_w

PHASES: Final[tuple[Phase, ...]] = ("a", "b", "c")
SEED: Final = 906
HOME_WH: Final = 8_800
"""Mean energy of a customer's day, as in the published one-minute profiles (which pandapower does not carry)."""

PEAK: Final = "on_peak_566"
SNAPSHOTS: Final = {0: "off_peak_1", 37: PEAK, 95: "off_peak_1440"}
"""The published minutes 1, 566 and 1440 of the day by the quarter-hour that each lies in."""

IMPEDANCES: Final = ("r1_ohm", "x1_ohm", "r0_ohm", "x0_ohm")
FOLDER: Final = Path(__file__).parent / "european-lv"


def network() -> dict[str, Any]:
    """The published network without the buses at which nothing happens, in the wire form."""
    return merged(published(), loaded={bus for bus, _ in snapshot(PEAK)})


def published() -> dict[str, Any]:
    """The network as published, in the wire form: 907 buses, 905 sections of cable and the transformer."""
    net = _pandapower(PEAK)
    assert not net.line.c_nf_per_km.any() and not net.line.c0_nf_per_km.any(), "the feeder has no line charging"
    assert not net.trafo.tap_pos.any() and (net.trafo.vector_group == "Dyn").all(), "an export of middle taps and Dyn"
    names = net.bus.name
    (source,) = net.ext_grid.itertuples()
    return {
        "name": "european-lv",
        "phases": 3,
        "source": {"bus": names[source.bus], "voltage_pu": _single(source.vm_pu)},
        "buses": [
            {"id": each.name, "nominal_v": _single(each.vn_kv * 1e3), "min_pu": 0.9, "max_pu": 1.1}
            for each in net.bus.itertuples()
        ],
        "lines": [_section(each, names) for each in net.line.itertuples()],
        "transformers": [
            {
                "id": each.name,
                "from": names[each.hv_bus],
                "to": names[each.lv_bus],
                "rated_va": round(each.sn_mva * 1e6),
                "vk_percent": _single(each.vk_percent),
                "vkr_percent": _single(each.vkr_percent),
                "pfe_w": _single(each.pfe_kw * 1e3),
                "i0_percent": _single(each.i0_percent),
                "vector_group": f"Dyn{round(each.shift_degree / 30)}",
            }
            for each in net.trafo.itertuples()
        ],
    }


def merged(full: dict[str, Any], *, loaded: Collection[str]) -> dict[str, Any]:
    """The same network with sections of cable in a row made one where they meet in a bus without load or branch.

    No current leaves the row, so that its voltage drop is that of the sum of the sections' impedances in each sequence.
    A merged line has the name of its last section. All sections lead away from the source, as published.
    """
    into = {line["to"]: line for line in full["lines"]}
    onward = Counter(line["from"] for line in full["lines"])
    passed = {bus for bus in into if onward[bus] == 1 and bus not in loaded}
    lines = [_in_a_row(_sections_to(end, into, passed)) for end in into if end not in passed]
    return {**full, "buses": [bus for bus in full["buses"] if bus["id"] not in passed], "lines": lines}


def snapshot(minute: str) -> dict[tuple[str, Phase], int]:
    """What every customer draws in a published minute [W], by bus and phase."""
    net = _pandapower(minute)
    drawn = {}
    for each in net.asymmetric_load.itertuples():
        (used,) = [phase for phase in PHASES if getattr(each, f"p_{phase}_mw")]
        drawn[net.bus.name[each.bus], used] = round(getattr(each, f"p_{used}_mw") * 1e6)
    return drawn


def load() -> dict[str, Any]:
    """A day of homes that meets the published minutes: a drawn profile, with the snapshots in their quarter-hours."""
    customers = list(snapshot(PEAK))
    random = np.random.default_rng(SEED)
    p_w = np.array([home_w(random) for _ in customers])
    p_w *= HOME_WH / (p_w.sum(axis=1).mean() / 4)
    for step, minute in SNAPSHOTS.items():
        seen = snapshot(minute)
        p_w[:, step] = [seen[customer] for customer in customers]
    by_phase: dict[str, dict[str, Any]] = {phase: {} for phase in PHASES}
    for (bus, phase), day_w in zip(customers, p_w, strict=True):
        by_phase[phase][bus] = day_of(day_w, power_factor=0.95)
    return {"timezone": "Europe/London", "resolution": "PT15M", "by_phase": by_phase}


def _pandapower(minute: str) -> Any:
    from pandapower.networks import ieee_european_lv_asymmetric  # noqa: PLC0415 - an extra

    return ieee_european_lv_asymmetric(minute)


def _single(value: float) -> float:
    """The published number: pandapower has passed some of them through single precision."""
    return float(f"{value:.6g}")


def _section(each: Any, names: Any) -> dict[str, Any]:
    km = _single(each.length_km)
    per_km = (each.r_ohm_per_km, each.x_ohm_per_km, each.r0_ohm_per_km, each.x0_ohm_per_km)
    return {
        "id": each.name,
        "from": names[each.from_bus],
        "to": names[each.to_bus],
        **{name: round(_single(ohm) * km, 12) for name, ohm in zip(IMPEDANCES, per_km, strict=True)},
        "rating_a": _single(each.max_i_ka * 1e3),
    }


def _sections_to(end: str, into: dict[str, dict[str, Any]], passed: Collection[str]) -> list[dict[str, Any]]:
    row = [into[end]]
    while row[0]["from"] in passed:
        row.insert(0, into[row[0]["from"]])
    return row


def _in_a_row(row: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": row[-1]["id"],
        "from": row[0]["from"],
        "to": row[-1]["to"],
        **{name: round(sum(section[name] for section in row), 12) for name in IMPEDANCES},
        "rating_a": min(section["rating_a"] for section in row),
    }


def main() -> None:
    """Write both files."""
    for name, document in (("network", network()), ("load", load())):
        (FOLDER / f"{name}.json").write_text(json.dumps(document) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
