"""The charts of a simulated day, from its tidy tables: the same in the report and on the market's pages."""

from collections.abc import Callable, Iterator, Mapping
from datetime import tzinfo
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa

from api_spec.grid import Network
from market.figures.carpet import carpets
from market.figures.charging import plan_against_metered, plug_map, setpoint_against_metered
from market.figures.chart import Chart
from market.figures.days import day_by_day
from market.figures.load import load_against_limit, lowest_voltage, voltage_profile
from market.figures.market_charts import merit_orders, payments
from market.figures.network_charts import network_maps
from market.figures.prices import price_map, price_parts
from market.figures.sessions import plug_gantt, stays_of
from market.figures.style import PRICE_PARTS
from market.figures.tidy import Grid, worst_first

Tables: TypeAlias = Mapping[str, pa.Table]
_DRAWING_W: Final = 100.0


def run_charts(tables: Tables, zone: tzinfo, network: Network | None = None) -> tuple[Chart, ...]:
    """Every chart whose tables are there; the map where the network is known as well."""
    return tuple(_charts(tables, zone, network))


def _charts(tables: Tables, zone: tzinfo, network: Network | None) -> Iterator[Chart]:
    over_days: tuple[tuple[str, Callable[..., Iterator[Chart]]], ...] = (
        ("measures", day_by_day),
        ("physical_network", carpets),
    )
    for name, charts in over_days:
        if name in tables:
            yield from charts(tables[name], zone)
    if network is not None:
        yield from network_maps(network, tables, zone)
    parts: tuple[tuple[tuple[str, ...], Callable[..., Iterator[Chart]]], ...] = (
        (("elements",), load),
        (("prices",), prices),
        (("voltages",), voltages),
        (("book", "prices"), merit_orders),
        (("fleets",), fleets),
        (("settlement", "offers"), payments),
        (("plugs",), plugs),
        (("drivers", "plugs"), stays),
    )
    for names, charts in parts:
        if all(name in tables for name in names):
            yield from charts(*(tables[name] for name in names), zone)


def load(elements: pa.Table, zone: tzinfo) -> Iterator[Chart]:
    """Current of every line and transformer against its limit, the most loaded one before first."""
    grid = Grid.of(elements, "element")
    axis = grid.axis(zone)
    ratio = grid["before"] / grid["limit"]
    if np.isnan(ratio).all():
        return
    order = [at for at in worst_first(grid.things, ratio) if not np.isnan(ratio[at]).all()]
    worst = order[0]
    when = int(np.nanargmax(ratio[worst]))
    after = np.nanmax(grid["after"][worst] / grid["limit"][worst])
    yield Chart.choice(
        "load",
        "Load against limit, before and after",
        f"{grid.things[worst]} was heading for {ratio[worst, when]:.0%} of its limit at "
        f"{axis.starts[when]:%H:%M}; after clearing its highest is {after:.0%}.",
        [
            (
                f"{grid.things[at]} ({np.nanmax(ratio[at]):.0%} before)",
                load_against_limit(
                    axis,
                    before=grid["before"][at],
                    after=grid["after"][at],
                    actual=grid["actual"][at] if "actual" in grid.columns else None,
                    limits=[grid["limit"][at]],
                    quantity="current",
                    unit="A",
                ),
            )
            for at in order
        ],
    )


def prices(table: pa.Table, zone: tzinfo) -> Iterator[Chart]:
    """DLMP by bus and period, and its parts at every bus, the dearest first."""
    grid = Grid.of(table, "bus")
    axis = grid.axis(zone)
    total = grid["total"]
    order = worst_first(grid.things, total)
    dearest = order[0]
    when = int(np.nanargmax(total[dearest]))
    yield Chart.of(
        "prices",
        "Nodal prices (DLMP) by bus and period",
        f"The highest is {total[dearest, when]:,.2f} EUR/MWh, at bus {grid.things[dearest]} at "
        f"{axis.starts[when]:%H:%M}; the lowest of all is {np.nanmin(total):,.2f} EUR/MWh.",
        price_map(axis, grid.things, total),
    )
    yield Chart.choice(
        "parts",
        "What the price is made of",
        "The cost of one more MWh at a bus, by its parts; they add up to the line.",
        [
            (
                f"{grid.things[at]} (up to {np.nanmax(total[at]):,.0f} EUR/MWh)",
                price_parts(axis, {part: grid[part][at] for part in PRICE_PARTS}, total[at]),
            )
            for at in order
        ],
    )


def voltages(table: pa.Table, zone: tzinfo) -> Iterator[Chart]:
    """The lowest voltage over the day, and the profile along all buses when it is worst."""
    grid = Grid.of(table, "bus")
    axis = grid.axis(zone)
    before, after = grid["before_pu"], grid["after_pu"]
    bus, when = (int(at) for at in np.unravel_index(np.nanargmin(before), before.shape))
    yield Chart.of(
        "voltage",
        "Lowest voltage, before and after",
        f"Lowest before: {before[bus, when]:.4f} pu at bus {grid.things[bus]} at {axis.starts[when]:%H:%M}; "
        f"lowest after: {np.nanmin(after):.4f} pu.",
        lowest_voltage(
            axis,
            before_pu=np.nanmin(before, axis=0),
            after_pu=np.nanmin(after, axis=0),
            min_pu=np.nanmax(grid["min_pu"], axis=0),
        ),
    )
    yield Chart.of(
        "profile",
        f"Voltage profile at {axis.starts[when]:%H:%M}, before and after",
        "Every bus in the period with the lowest voltage.",
        voltage_profile(
            grid.things,
            before_pu=before[:, when],
            after_pu=after[:, when],
            min_pu=grid["min_pu"][:, when],
            max_pu=grid["max_pu"][:, when],
        ),
    )


def fleets(table: pa.Table, zone: tzinfo) -> Iterator[Chart]:
    """What each aggregator nominated, was awarded and drew."""
    grid = Grid.of(table, "participant")
    axis = grid.axis(zone)
    kw = {name: grid[f"{name}_w"] / 1e3 for name in ("baseline", "awarded", "metered")}
    yield Chart.choice(
        "fleets",
        "Baseline, award and what was drawn",
        "An award is delivered where the green line follows the orange one.",
        [
            (
                name,
                plan_against_metered(
                    axis, baseline_kw=kw["baseline"][at], awarded_kw=kw["awarded"][at], metered_kw=kw["metered"][at]
                ),
            )
            for at, name in enumerate(grid.things)
        ],
    )


def plugs(table: pa.Table, zone: tzinfo) -> Iterator[Chart]:
    """Setpoint against metered power, of all plugs together and of each, and who charged when."""
    grid = Grid.of(table, "plug")
    axis = grid.axis(zone)
    setpoint, metered = grid["setpoint_w"] / 1e3, grid["metered_w"] / 1e3
    drawn = np.nansum(metered, axis=1)
    busy = [int(at) for at in np.argsort(-drawn, kind="stable") if drawn[at] > 0]
    pictures = [(f"all {len(grid.things)} plugs together", np.nansum(setpoint, axis=0), np.nansum(metered, axis=0))]
    pictures += [(grid.things[at], setpoint[at], metered[at]) for at in busy]
    yield Chart.choice(
        "plugs",
        "Plug setpoints against metered power",
        "What the plugs were allowed, and what their meters counted, minute by minute.",
        [
            (label, setpoint_against_metered(axis, setpoint=told, metered=drew, quantity="power", unit="kW"))
            for label, told, drew in pictures
        ],
    )
    if busy:
        named = {grid.things[at]: metered[at] for at in busy}
        yield Chart.of(
            "plug-map",
            "Who charged when",
            "Metered power of every plug.",
            plug_map(axis, named, quantity="power", unit="kW"),
        )


def stays(drivers: pa.Table, plug_log: pa.Table, zone: tzinfo) -> Iterator[Chart]:
    """Who was plugged in where, when they charged, and who left with less than was asked for."""
    grid = Grid.of(plug_log, "plug")
    there = stays_of(drivers)
    if not there:
        return
    short = sum(stay.unmet > 0.01 for stay in there)
    charging = {
        plug: np.nan_to_num(grid["metered_w"][at]) > _DRAWING_W for at, plug in enumerate(grid.things)
    }  # below it a vehicle only stays awake
    yield Chart.of(
        "stays",
        "Drivers: plugged in, charging, and what was missing when they left",
        f"{len(there)} stays, of which {short} ended with less than 99 % of what had been asked for.",
        plug_gantt(grid.axis(zone), there, charging),
    )
