"""Physics: what really flowed in one day, from surroundings to tables, on networks of growing size.

Load with noise, PV and heat pumps at a third of the buses each; no participants, whose own share is in their emulation.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from api_spec.period import MarketPeriod
from bench.measuring import Options, Row, best_of, progress
from market.network.sources import grid_source
from market.network.surroundings import Surroundings, SurroundingsTable
from market.simulation.physical_tables import physical_tables
from market.simulation.physics import PhysicsTable, Truth

DAY = MarketPeriod(start=datetime(2026, 1, 14, 23, tzinfo=UTC), resolution=timedelta(minutes=15), count=96)
TABLE = SurroundingsTable.model_validate(
    {
        "load": {"std": 0.6},
        "common": {"std": 0.06},
        "pv": [{"peak_kw": 5, "share": 0.33}],
        "heat_pumps": [{"share": 0.33}],
    }
)


def run(options: Options) -> Iterator[Row]:
    feeders = ("simbench-lv-rural1", "risoe", "risoe-three-phase", "european-lv")
    for name in feeders[:2] if options.quick else feeders:
        around = Surroundings(grid_source(name), TABLE)
        for minutes in (5, 1):
            progress(f"physics: {name}, steps of {minutes} min")
            physics = PhysicsTable(step=timedelta(minutes=minutes))
            steps = physics.steps(DAY)
            surroundings, _ = best_of(lambda: around.actual(steps))  # noqa: B023 - called at once
            flow, truth = best_of(lambda: Truth.of(around, (), DAY, physics))  # noqa: B023
            tables, _ = best_of(lambda: physical_tables(truth))  # noqa: B023
            yield {
                "network": name,
                "terminals": str(truth.grid.terminals),
                "steps": str(steps.count),
                "surroundings s": str(surroundings),
                "with AC power flow s": str(flow),
                "tables s": str(tables),
            }
