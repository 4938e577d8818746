"""Finished runs as rows: what tells them apart, and what they measured."""

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from market.simulation.dictionary import described, dictionary
from market.simulation.measures import Measures
from market.simulation.sweep.plan import Plan, Run
from market.simulation.sweep.sweep_file import RUN
from market.simulation.sweep.toml_text import toml_value

MEASURES: Final = tuple(Measures.model_fields)


def schema_of(plan: Plan) -> pa.Schema:
    """Columns of a sweep's results: the run, what was varied, and the measures with their units and meanings."""
    varied = [pa.field(name, _kind([run.point[name] for run in plan.runs])) for name in plan.sweep.columns]
    measures = [pa.field(name, pa.float64()) for name in MEASURES]
    return described(pa.schema([pa.field(RUN, pa.string()), *varied, *measures]), dictionary().measures)


def part_of(run: Run, measures: Mapping[str, float], plan: Plan) -> pa.Table:
    """One run as a table of one row."""
    schema = schema_of(plan)
    row: dict[str, Any] = {RUN: run.id, **{name: measures[name] for name in MEASURES}}
    for name, value in run.point.items():
        as_text = schema.field(name).type == pa.string() and not isinstance(value, str)
        row[name] = toml_value(value) if as_text else value
    return pa.Table.from_pylist([row], schema)


def _kind(values: list[Any]) -> pa.DataType:
    """What holds all values of a column; tables, arrays, times and what is mixed become text, as TOML writes it."""
    kinds = {type(each) for each in values}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    return pa.float64() if kinds <= {int, float} else pa.string()
