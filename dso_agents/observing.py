"""What a DSO sees of its network: an estimate for people, bus by bus."""

from collections import Counter

import numpy as np
import numpy.typing as npt
from rich.table import Table

from api_spec.period import MarketPeriod
from dso_agents.state_estimation import Estimate, Removed
from market.network import Grid
from market.network.model import FloatArray


def observability_tables(found: Estimate, period: MarketPeriod) -> tuple[Table, ...]:
    """Every bus where something is connected, and which readings were taken for bad."""
    return (_buses(found, period), _bad(found)) if found.removed else (_buses(found, period),)


def _buses(found: Estimate, period: MarketPeriod) -> Table:
    """Means of the period; of the phases of a bus the lowest voltage."""
    grid, used = found.used.grid, found.used
    title = f"Seen from {period.start:%Y-%m-%d %H:%M} to {period.end:%Y-%m-%d %H:%M} UTC"
    table = Table("bus", "metered", "observed", "power", "give or take", "voltage", "give or take", title=title)
    metered = _share(used.metered.known.any(axis=2), grid)
    observed = found.observed.mean(axis=0)
    power_w, sigma_w = found.power_w.mean(axis=0), _middle(found.power_sigma_w)
    by_bus = found.points.voltage_pu.mean(axis=0).reshape(grid.buses, grid.phases)
    voltage, voltage_sigma = by_bus.min(axis=1), _middle(found.voltage_sigma_pu).reshape(grid.buses, -1).max(axis=1)
    connected = np.flatnonzero(_share(used.expected.known.any(axis=2), grid))
    for at in connected:
        table.add_row(
            grid.bus_ids[at],
            f"{metered[at]:.0%}",
            f"{observed[at]:.0%}",
            f"{power_w[at] / 1e3:.2f} kW",
            f"{sigma_w[at] / 1e3:.2f}",
            f"{voltage[at]:.4f} pu",
            f"{voltage_sigma[at]:.4f}",
        )
    seen, likely = observed[connected].mean() if len(connected) else 1.0, float((found.probability >= 0.01).mean())
    table.caption = (
        f"{seen:.0%} of bus-periods are observed: instruments at least halve what is not known of their power. "
        f"In {likely:.0%} of periods all readings fit together (chi-square, 1 %)."
    )
    return table


def _bad(found: Estimate) -> Table:
    """By place, the worst first."""
    table = Table("reading", "at", "periods", title="Taken for bad, and not used")
    for (kind, where), count in Counter(
        (each.kind, _place(each, found.used.grid)) for each in found.removed
    ).most_common():
        table.add_row({"metered": "power", "voltage": "voltage", "flow": "flow"}[kind], where, str(count))
    return table


def _place(bad: Removed, grid: Grid) -> str:
    if bad.kind != "flow":
        return grid.terminal_names[bad.place[0]]
    end, branch, phase = bad.place
    of_phase = f" phase {'abc'[phase]}" if grid.phases == 3 else ""
    return f"{grid.branch_ids[branch]}, {('from', 'to')[end]} end{of_phase}"


def _share(known: npt.ArrayLike, grid: Grid) -> FloatArray:
    """(bus,) share of periods in which any of (period, terminal) is known."""
    share: FloatArray = np.asarray(known).reshape(-1, grid.buses, grid.phases).any(axis=2).mean(axis=0)
    return share


def _middle(sigma: FloatArray) -> FloatArray:
    middle: FloatArray = np.median(sigma, axis=0)
    return middle
