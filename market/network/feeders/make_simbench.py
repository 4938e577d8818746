"""Makes the feeder `simbench-lv-rural1`; run with the packages `simbench` and `pandapower` installed beside flexmarket.

    python -m market.network.feeders.make_simbench

SimBench is some 400 MB with all its grids and years, so that one grid and one day of it are exported once.
"""

import json
from pathlib import Path
from typing import Any, Final

CODE: Final = "1-LV-rural1--0-sw"
DAY: Final = "14.01.2016"  # a Thursday
FOLDER: Final = Path(__file__).parent / "simbench-lv-rural1"


def main() -> None:
    """Write both files."""
    import simbench  # noqa: PLC0415 - not one of our dependencies

    net = simbench.get_simbench_net(CODE)
    assert net.switch.closed.all() and not net.trafo.tap_pos.any(), "an export of closed switches and middle taps"
    for name, document in (("network", network(net)), ("load", load(net, simbench))):
        (FOLDER / f"{name}.json").write_text(json.dumps(document) + "\n", encoding="utf-8")


def network(net: Any) -> dict[str, Any]:
    """The grid in the wire form. SimBench's shift of the transformer has no meaning in a radial balanced network."""
    names = net.bus.name
    (source,) = net.ext_grid.itertuples()
    return {
        "name": "simbench-lv-rural1",
        "phases": 1,
        "source": {"bus": names[source.bus], "voltage_pu": round(source.vm_pu, 6)},
        "buses": [
            {"id": each.name, "nominal_v": round(each.vn_kv * 1e3, 3), "min_pu": 0.9, "max_pu": 1.1}
            for each in net.bus.itertuples()
        ],
        "lines": [
            {
                "id": each.name,
                "from": names[each.from_bus],
                "to": names[each.to_bus],
                "r_ohm": each.r_ohm_per_km * each.length_km,
                "x_ohm": each.x_ohm_per_km * each.length_km,
                "b_s": 2 * 3.141592653589793 * net.f_hz * each.c_nf_per_km * 1e-9 * each.length_km,
                "rating_a": round(each.max_i_ka * 1e3, 3),
            }
            for each in net.line.itertuples()
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


def load(net: Any, simbench: Any) -> dict[str, Any]:
    """Loads less generation of the day, per bus."""
    profiles = simbench.get_absolute_values(net, profiles_instead_of_study_cases=True)
    day = net.profiles["load"].time.str.startswith(DAY).to_numpy()
    assert day.sum() == 96, f"{DAY} has {day.sum()} quarter-hours in the data"
    buses: dict[str, dict[str, Any]] = {}
    for table, column, key, sign in (
        ("load", "p_mw", "p_w", 1),
        ("load", "q_mvar", "q_var", 1),
        ("sgen", "p_mw", "p_w", -1),
    ):
        values = profiles[table, column].to_numpy()[day]
        for at, bus in enumerate(net[table].bus):
            own = buses.setdefault(net.bus.name[bus], {"p_w": [0.0] * 96, "q_var": [0.0] * 96})
            own[key] = [have + sign * more * 1e6 for have, more in zip(own[key], values[:, at], strict=True)]
    whole = {bus: {key: [round(each) for each in series] for key, series in own.items()} for bus, own in buses.items()}
    return {"timezone": "Europe/Berlin", "resolution": "PT15M", "buses": whole}


if __name__ == "__main__":
    main()
