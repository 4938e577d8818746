"""The map of a run's network: nodal prices as cleared, voltages before and as drawn, and how full the lines are."""

from collections.abc import Iterator, Mapping
from datetime import tzinfo

import numpy as np
import pyarrow as pa

from api_spec.grid import Network
from market.figures.chart import Chart
from market.figures.network_map import network_map
from market.figures.tidy import FloatArray, Grid

_PHASE = " phase "


def network_maps(network: Network, tables: Mapping[str, pa.Table], zone: tzinfo) -> Iterator[Chart]:
    """One chart with a choice of maps, each with a slider over the delivery; nothing where a table is missing."""
    if not {"elements", "voltages", "prices"} <= tables.keys():
        return
    elements, voltages = Grid.of(tables["elements"], "element"), Grid.of(tables["voltages"], "bus")
    prices = Grid.of(tables["prices"], "bus")
    axis = elements.axis(zone)
    price = _by_bus(prices, prices["total"], np.fmax)
    when = int(np.nanargmax(np.nanmax(list(price.values()), axis=0)))
    pictures = [
        (
            "nodal prices, as cleared",
            network_map(
                network,
                axis,
                values=price,
                loading=_loading(elements, "after"),
                quantity="DLMP",
                unit="EUR/MWh",
                first=when,
            ),
        )
    ]
    for words, name in (("voltages before", "before"), ("voltages as drawn", "actual")):
        if name in elements.columns and f"{name}_pu" in voltages.columns:
            picture = network_map(
                network,
                axis,
                values=_by_bus(voltages, voltages[f"{name}_pu"], np.fmin),
                loading=_loading(elements, name),
                quantity="voltage",
                unit="pu",
                places=4,
                first=when,
            )
            pictures.append((words, picture))
    yield Chart.choice(
        "map",
        "The network through the day",
        f"Opens at {axis.starts[when]:%H:%M}, when the highest nodal price is reached; a slider moves through the day. "
        "Buses have the colour of the value, lines that of how full they are.",
        pictures,
    )


def _loading(elements: Grid, name: str) -> dict[str, FloatArray]:
    share = elements[name] / elements["limit"]
    return {element: share[at] for at, element in enumerate(elements.things)}


def _by_bus(grid: Grid, values: FloatArray, worse: np.ufunc) -> dict[str, FloatArray]:
    """(period,) by bus; of the phases of a bus the worse one."""
    found: dict[str, FloatArray] = {}
    for at, name in enumerate(grid.things):
        bus = name.partition(_PHASE)[0]
        found[bus] = worse(found[bus], values[at]) if bus in found else values[at]
    return found
