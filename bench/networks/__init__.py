"""Networks to measure on: the 33-bus feeder, a SimBench grid of 233 buses, and grown ones of any size."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import numpy as np

from api_spec.grid import Network
from bench.radial import FloatArray

FEEDERS: Final = Path(__file__).parents[2] / "market" / "network" / "feeders"


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A network and its load at the peak.

    p_w, q_var : (bus,) consumption [W], [var] in the order of the network's buses.
    """

    network: Network
    p_w: FloatArray
    q_var: FloatArray

    @classmethod
    def read(cls, folder: Path) -> Self:
        """A folder with network.json (the wire form) and load.json (one step that stands for the whole day)."""
        network = Network.model_validate_json((folder / "network.json").read_text(encoding="utf-8"))
        load = json.loads((folder / "load.json").read_text(encoding="utf-8"))["buses"]
        nothing = {"p_w": [0], "q_var": [0]}
        p_w, q_var = (
            np.array([load.get(bus, nothing)[key][0] for bus in network.bus_ids], dtype=np.float64)
            for key in ("p_w", "q_var")
        )
        return cls(network, p_w, q_var)


def baran_wu() -> LoadedNetwork:
    """The 33-bus feeder of Baran and Wu, 12.66 kV; its authors give no ratings, here lines are for 400 or 200 A."""
    loaded = LoadedNetwork.read(FEEDERS / "baran-wu-33")
    lines = tuple(
        line.model_copy(update={"rating_a": 400.0 if number < 9 else 200.0})
        for number, line in enumerate(loaded.network.lines)
    )
    return replace(loaded, network=loaded.network.model_copy(update={"lines": lines}))


def simbench() -> LoadedNetwork:
    """SimBench's `1-MVLV-semiurb-5.220-0-sw`, 233 buses: a 20 kV grid with one of its 0.4 kV grids in full."""
    return LoadedNetwork.read(Path(__file__).parent / "simbench-mvlv-semiurb")
