"""The busbar of a network, and the feeders that meet there."""

import numpy as np
from scipy import sparse

from market.clearing.columns import NONE
from market.network.model import Grid, IntArray


def busbar(grid: Grid) -> int:
    """The first bus from the source that has several ways on; where there is none, the last bus of all."""
    linked, before, at = _linked(grid), NONE, grid.source
    while len(ways := np.setdiff1d(linked.indices[linked.indptr[at] : linked.indptr[at + 1]], [before])) == 1:
        before, at = at, int(ways[0])
    return at


def feeders(grid: Grid) -> IntArray:
    """(bus,) equal numbers for buses of one feeder: what stays connected without the busbar."""
    others = sparse.diags_array(np.where(np.arange(grid.buses) == busbar(grid), 0.0, 1.0))
    numbers: IntArray = sparse.csgraph.connected_components(others @ _linked(grid) @ others, directed=False)[1]
    return numbers


def _linked(grid: Grid) -> sparse.csr_array:
    """(bus, bus) which are ends of the same branch."""
    ends = np.concatenate([grid.from_bus, grid.to_bus]), np.concatenate([grid.to_bus, grid.from_bus])
    return sparse.csr_array((np.ones(len(ends[0])), ends), shape=(grid.buses, grid.buses))
