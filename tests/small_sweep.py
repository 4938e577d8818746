"""A sweep over what two households want in half an hour of an evening."""

from typing import Final

SCENARIO: Final = """
name = "evening"
feeder = "risoe"
begins = 2026-01-15T16:00:00+01:00
gate_closure = 2026-01-15T17:30:00+01:00
seed = 3

[delivery]
start = 2026-01-15T18:00:00+01:00
resolution = "PT15M"
count = 2

[product]
name = "evening"
price_cap_eur_per_mwh = 900
penalty_eur_per_mwh = 150

[agents.grid]
role = "dso"
agent = "dso_agents.agent:DsoAgent"

[agents.homes]
role = "aggregator"
agent = "aggregator_agents.agent:EvAggregator"

[[agents.homes.config.sites]]
buses = ["oest-07", "oest-08"]
fuse_a = 25
sessions = { arrives_h = 17.0, departs_h = 23, energy_kwh = 14 }
"""

HEAD: Final = 'name = "some-runs"\nscenario = "evening.toml"\n'
ENERGY: Final = '[axes.energy_kwh]\npath = "agents.homes.config.sites.0.sessions.energy_kwh"\n'
"""Its axis, but for the values."""
