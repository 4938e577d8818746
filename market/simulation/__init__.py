"""Simulated days: agents, found by the names in a scenario, on a real market in virtual time."""

from importlib.resources import files
from pathlib import Path
from typing import Final

SCENARIOS: Final = Path(str(files(__name__) / "scenarios"))
"""Scenario files that ship with flexmarket."""
