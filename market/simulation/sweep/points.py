"""The points of a sweep: a value for each of its columns."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from scipy.stats import qmc

from market.network.model import FloatArray
from market.simulation.sweep.sweep_file import SEED, Sample, Sweep

Point: TypeAlias = Mapping[str, Any]
"""Value by column, in the order of the columns."""


def points(sweep: Sweep) -> Iterator[Point]:
    """Every combination, the last axis fastest, or the points drawn; each with every seed in turn."""
    for point in _combinations(sweep) if sweep.sample is None else _drawn(sweep, sweep.sample):
        if sweep.seeds:
            yield from ({**point, SEED: seed} for seed in sweep.seeds)
        else:
            yield point


def _combinations(sweep: Sweep) -> Iterator[Point]:
    for values in product(*(axis.choices for axis in sweep.axes.values())):
        yield dict(zip(sweep.axes, values, strict=True))


def _drawn(sweep: Sweep, sample: Sample) -> Iterator[Point]:
    for row in _unit_points(sample, len(sweep.axes)):
        yield {name: axis.drawn(float(share)) for (name, axis), share in zip(sweep.axes.items(), row, strict=True)}


def _unit_points(sample: Sample, axes: int) -> FloatArray:
    """(point, axis) in [0, 1)."""
    rng = np.random.default_rng(sample.seed)
    if sample.method == "random":
        return rng.random((sample.size, axes))
    engine = (qmc.Sobol if sample.method == "sobol" else qmc.LatinHypercube)(axes, rng=rng)
    drawn: FloatArray = np.minimum(engine.random(sample.size), np.nextafter(1.0, 0.0))
    return drawn
