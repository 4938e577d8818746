"""A street of one cable without losses: buses "s" (the source) and "far", joined by "l1"."""

from typing import Final

from api_spec.grid import Network
from tests.small_cases import bus, line

STREET: Final = Network.model_validate(
    {
        "name": "street",
        "phases": 1,
        "source": {"bus": "s"},
        "buses": [bus("s"), bus("far")],
        "lines": [line("l1", "s", "far", r_ohm=0.0, x_ohm=0.001)],
    }
)
