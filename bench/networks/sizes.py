"""Which network stands for a number of buses."""

from bench.networks import LoadedNetwork, baran_wu, simbench
from bench.networks.grown import grown


def network_of(buses: int) -> LoadedNetwork:
    """The network that stands for a size: the 33-bus feeder, the SimBench grid, or a grown one."""
    if buses == 33:
        return baran_wu()
    return simbench() if buses == 233 else grown(buses)
