"""Grown networks: radial 10 kV cable grids of any size, several feeders behind one 110/10 kV transformer."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from api_spec.grid import Network
from bench.networks import LoadedNetwork
from bench.radial import ComplexArray, FloatArray, Tree

FEEDER_BUSES: Final = 125
TRANSFORMERS_MVA: Final = (16, 25, 40, 63, 80, 100, 125)
TAN_PHI: Final = 0.25
HIGHEST_DROP: Final = (0.02, 0.075)  # from the busbar to the farthest end of a feeder [pu]
MOST_FEEDER_MW: Final = 3.5


@dataclass(frozen=True)
class Cable:
    """Aluminium cable for 10 kV, values per km; about those of manufacturers' tables."""

    r_ohm: float
    x_ohm: float
    c_uf: float
    rating_a: float


TRUNK: Final = Cable(0.206, 0.116, 0.39, 319.0)  # 150 mm2
BRANCH: Final = Cable(0.443, 0.128, 0.28, 210.0)  # 70 mm2


def grown(buses: int, *, seed: int = 10) -> LoadedNetwork:
    """A network of `buses` buses, the two of the transformer among them.

    Every feeder has a trunk of thick cable and branches of thinner, sections of 100 to 450 m. Its load is scaled so
    that the voltage falls by 2 to 7.5 % from the busbar to its farthest end, or to 3.5 MW. Every bus draws with a power
    factor of 0.97, lognormally more or less than the others.
    """
    random = np.random.default_rng([seed, buses])
    many = max(1, round((buses - 2) / FEEDER_BUSES))
    sizes = [len(part) for part in np.array_split(np.arange(buses - 2), many)]
    names, lines, weights = ["hv", "busbar"], [], [0.0, 0.0]
    for feeder, size in enumerate(sizes, start=1):
        own = [f"f{feeder}-{at}" for at in range(1, size + 1)]
        lines += _feeder_lines(own, random)
        names += own
        weights += random.lognormal(0.0, 0.5, size).tolist()
    network = _network(names, lines, rated_mva=TRANSFORMERS_MVA[-1])
    p_w = _scaled(network, np.array(weights), sizes, random)
    enough = min((mva for mva in TRANSFORMERS_MVA if mva * 1e6 > 1.25 * p_w.sum()), default=TRANSFORMERS_MVA[-1])
    return LoadedNetwork(_network(names, lines, rated_mva=enough), p_w, (p_w * TAN_PHI).round())


def _feeder_lines(own: list[str], random: np.random.Generator) -> list[dict[str, Any]]:
    """A trunk through about a third of the buses, the others on branches of one to eight."""
    trunk = len(own) // 3
    lines = []
    for at, name in enumerate(own):
        cable = TRUNK if at < trunk else BRANCH
        if at <= trunk and at > 0:
            before = own[at - 1] if at < trunk else own[random.integers(trunk)]
        elif at == 0:
            before = "busbar"
        else:
            before = own[at - 1] if random.random() < 0.75 else own[random.integers(trunk)]
        km = random.uniform(0.1, 0.45)
        lines.append(
            {
                "id": f"{before} {name}",
                "from": before,
                "to": name,
                "r_ohm": round(cable.r_ohm * km, 6),
                "x_ohm": round(cable.x_ohm * km, 6),
                "b_s": round(2 * np.pi * 50 * cable.c_uf * 1e-6 * km, 12),
                "rating_a": cable.rating_a,
            }
        )
    return lines


def _network(names: list[str], lines: list[dict[str, Any]], *, rated_mva: float) -> Network:
    return Network.model_validate(
        {
            "name": f"grown-{len(names)}",
            "phases": 1,
            "source": {"bus": "hv", "voltage_pu": 1.02},
            "buses": [
                {"id": name, "nominal_v": 110e3 if name == "hv" else 10e3, "min_pu": 0.9, "max_pu": 1.1}
                for name in names
            ],
            "lines": lines,
            "transformers": [
                {
                    "id": "transformer",
                    "from": "hv",
                    "to": "busbar",
                    "rated_va": rated_mva * 1e6,
                    "vk_percent": 12.0,
                    "vkr_percent": 0.4,
                    "tap_ratio": 0.985,
                    "pfe_w": 500.0 * rated_mva,
                    "i0_percent": 0.06,
                }
            ],
        }
    )


def _scaled(network: Network, weights: FloatArray, sizes: list[int], random: np.random.Generator) -> FloatArray:
    """Load of every bus [W]: each feeder's share of `weights`, scaled to the voltage that it may lose."""
    tree = Tree.of(network)
    watts: ComplexArray = np.multiply(weights[None], complex(1, TAN_PHI), dtype=np.complex128)
    flows: ComplexArray = np.divide(tree.flows(watts), 1e6, dtype=np.complex128)
    squared = tree.squared_voltages(flows)
    fallen = 1e6 * (squared[0, 1] - squared[0]) / 2  # [pu per MW of a weight of one], voltages being about 1
    scaled = np.zeros(len(weights))
    first = 2
    for size in sizes:
        own = slice(first, first + size)
        mw_per_weight = min(random.uniform(*HIGHEST_DROP) / fallen[own].max(), MOST_FEEDER_MW / weights[own].sum())
        scaled[own] = (weights[own] * mw_per_weight * 1e6).round()
        first += size
    return scaled
