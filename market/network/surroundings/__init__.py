"""What really happens on a network beside the market's fleets: load that strays, sun, heat pumps."""

from market.network.surroundings.surroundings import Surroundings
from market.network.surroundings.table import SurroundingsTable

__all__ = ["Surroundings", "SurroundingsTable"]
