"""Makes the network `simbench-mvlv-semiurb`; run with the packages `simbench` and `pandapower` installed.

    python bench/networks/make_simbench.py

SimBench is some 400 MB with all its grids and years, so that this one grid is exported once.
"""

import json
from pathlib import Path
from typing import Any, Final

CODE: Final = "1-MVLV-semiurb-5.220-0-sw"
FOLDER: Final = Path(__file__).parent / "simbench-mvlv-semiurb"


def main() -> None:
    """Write both files."""
    import simbench  # noqa: PLC0415 - not one of our dependencies

    net = simbench.get_simbench_net(CODE)
    assert not net.trafo.tap_pos.any(), "an export of middle taps"
    assert net.switch.closed[net.switch.et != "l"].all(), "only lines are open, each at one end"
    for name, document in (("network", network(net)), ("load", load(net))):
        (FOLDER / f"{name}.json").write_text(json.dumps(document) + "\n", encoding="utf-8")


def network(net: Any) -> dict[str, Any]:
    """The grid in the wire form: every line as it is, an open one with a bus of its own at its open end."""
    names = bus_names(net)
    (source,) = net.ext_grid.itertuples()
    ends = {at: {"from": names[line.from_bus], "to": names[line.to_bus]} for at, line in net.line.iterrows()}
    buses = {names[at]: bus.vn_kv for at, bus in net.bus.iterrows()}
    for switch in net.switch[(net.switch.et == "l") & ~net.switch.closed].itertuples():
        line = net.line.loc[switch.element]
        open_end = f"{line['name']} open end"
        ends[switch.element]["from" if switch.bus == line.from_bus else "to"] = open_end
        buses[open_end] = net.bus.vn_kv[switch.bus]
    return {
        "name": "simbench-mvlv-semiurb",
        "phases": 1,
        "source": {"bus": names[source.bus], "voltage_pu": round(source.vm_pu, 6)},
        "buses": [
            {"id": name, "nominal_v": round(vn_kv * 1e3, 3), "min_pu": 0.9, "max_pu": 1.1}
            for name, vn_kv in buses.items()
        ],
        "lines": [
            {
                "id": line.name,
                **ends[line.Index],
                "r_ohm": line.r_ohm_per_km * line.length_km,
                "x_ohm": line.x_ohm_per_km * line.length_km,
                "b_s": 2 * 3.141592653589793 * net.f_hz * line.c_nf_per_km * 1e-9 * line.length_km,
                "rating_a": round(line.max_i_ka * 1e3, 3),
            }
            for line in net.line.itertuples()
        ],
        "transformers": [
            {
                "id": each.name,
                "from": names[each.hv_bus],
                "to": names[each.lv_bus],
                "rated_va": round(each.sn_mva * 1e6),
                "vk_percent": each.vk_percent,
                "vkr_percent": each.vkr_percent,
                "pfe_w": round(each.pfe_kw * 1e3, 3),
                "i0_percent": each.i0_percent,
            }
            for each in net.trafo.itertuples()
        ],
    }


def load(net: Any) -> dict[str, Any]:
    """Nominal load per bus, without generation, as one step for the whole day."""
    names = bus_names(net)
    buses: dict[str, dict[str, float]] = {}
    for each in net.load.itertuples():
        own = buses.setdefault(names[each.bus], {"p_w": 0.0, "q_var": 0.0})
        own["p_w"] += each.p_mw * 1e6
        own["q_var"] += each.q_mvar * 1e6
    whole = {bus: {key: [round(value)] for key, value in own.items()} for bus, own in buses.items()}
    return {"timezone": "Europe/Berlin", "resolution": "P1D", "buses": whole}


def bus_names(net: Any) -> dict[int, str]:
    """The name of every bus; two that a closed switch joins are one."""
    names = net.bus.name.to_dict()
    for switch in net.switch[net.switch.et == "b"].itertuples():
        names[switch.element] = names[switch.bus]
    return dict(names)


if __name__ == "__main__":
    main()
