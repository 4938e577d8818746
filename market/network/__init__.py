"""Distribution networks: the model in per unit, and its AC operating points."""

from market.network.model import Grid
from market.network.operating_point import OperatingPoints, operating_points

__all__ = ["Grid", "OperatingPoints", "operating_points"]
