"""What really flowed, as tables in steps of the scenario's `physics.step`; `start` is the beginning of a step in UTC.

    physical_network   start, source_w, losses_w, drawn_w (by participants' devices)
    physical_elements  start, element, current_a, limit_a, loading
    physical_voltages  start, bus, voltage_pu, min_pu, max_pu
    transformers       start, transformer, loading, ambient_c, oil_c, hot_spot_c, ageing_rate
    violations         start, kind, where, minutes, depth

violations : one row for each unbroken episode; kind "current", depth a share of the rating, or "voltage", depth in pu.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from market.simulation.physics import Truth
from market.simulation.tidy import tidy, times


def physical_tables(truth: Truth) -> Mapping[str, pa.Table]:
    """Every table by its name."""
    return {
        "physical_network": _network(truth),
        "physical_elements": _elements(truth),
        "physical_voltages": _voltages(truth),
        "transformers": _transformers(truth),
        "violations": _violations(truth),
    }


def _network(truth: Truth) -> pa.Table:
    drawn_w = sum(truth.drawn_w.values(), np.zeros(truth.steps.count))
    columns = {"source_w": truth.points.source_w, "losses_w": truth.points.losses_w, "drawn_w": drawn_w}
    return pa.table({"start": times(truth.steps.starts()), **columns})


def _elements(truth: Truth) -> pa.Table:
    columns = {
        "current_a": truth.points.current_a.T,
        "limit_a": truth.grid.rating_a[:, None],
        "loading": truth.points.loading.T,
    }
    return tidy(truth.steps, "element", truth.grid.branch_ids, columns)


def _voltages(truth: Truth) -> pa.Table:
    low, high = (np.repeat(each, truth.grid.phases)[:, None] for each in (truth.grid.min_pu, truth.grid.max_pu))
    columns = {"voltage_pu": truth.points.voltage_pu.T, "min_pu": low, "max_pu": high}
    return tidy(truth.steps, "bus", truth.grid.terminal_names, columns)


def _transformers(truth: Truth) -> pa.Table:
    columns = {
        "loading": truth.transformer_loading.T,
        "ambient_c": truth.ambient_c[None, :],
        "oil_c": truth.ageing.oil_c.T,
        "hot_spot_c": truth.ageing.hot_spot_c.T,
        "ageing_rate": truth.ageing.rate.T,
    }
    return tidy(truth.steps, "transformer", truth.transformers, columns)


def _violations(truth: Truth) -> pa.Table:
    starts, found = truth.steps.starts(), tuple(truth.episodes())
    return pa.table(
        {
            "start": times(starts[each.first] for _, _, each in found),
            "kind": pa.array([kind for kind, _, _ in found], pa.string()),
            "where": pa.array([where for _, where, _ in found], pa.string()),
            "minutes": pa.array([each.count * truth.minutes for _, _, each in found], pa.float64()),
            "depth": pa.array([each.depth for _, _, each in found], pa.float64()),
        }
    )
