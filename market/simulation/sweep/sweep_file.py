"""A sweep: which fields of a scenario are varied, as a TOML file.

    name = "penetration-and-waiting"
    scenario = "../scenarios/risoe-day.toml"      # beside this file
    seeds = [1, 2, 3]

    [axes.penetration]
    path = "agents.homes-*.config.sites.*.adoption"
    values = [0.25, 0.5, 1.0]

Every combination is run; with `[sample]`, points drawn from the axes' distributions instead.
"""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from api_spec.defects import refuse
from api_spec.toml_file import BadFile, read_toml
from api_spec.units import Message
from market.errors import FlexmarketError
from market.simulation.measures import Measures
from market.simulation.sweep.axes import Axes

RUN: Final = "run"
"""The column of results that holds a run's id."""
SEED: Final = "seed"
"""The column of results that holds the seed."""
_SEED_PATHS: Final = ("seed", "agents.*.config.seed")
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**32)]


class BadSweep(FlexmarketError):
    """A sweep that cannot be run; one line for each defect: file, key and reason."""


class Sample(Message):
    """Points drawn from the axes' distributions, one after another.

    method : "random" draws them independently. "latin_hypercube" has one point in each of `size` equal parts of every
    axis (McKay, Beckman, Conover 1979). "sobol" fills the space evenly (Owen's scrambled Sobol' points), and goes on
    with the same points where `size` grows; for powers of two. All through scipy.stats.qmc.
    """

    method: Literal["random", "latin_hypercube", "sobol"] = "sobol"
    size: Annotated[int, Field(strict=True, ge=1, le=2**20)]
    seed: Seed = 0

    @model_validator(mode="after")
    def _balanced(self) -> Self:
        if self.method == "sobol" and self.size & (self.size - 1):
            above = 1 << self.size.bit_length()
            refuse("Sample", [(("size",), f"Sobol' points are even at powers of two, such as {above // 2} or {above}")])
        return self


class Sweep(Message):
    """Runs of one scenario.

    scenario : its file, beside the sweep's, or the name of one that ships. axes : what is varied, the last one fastest.
    sample : draw points; absent = every combination. seeds : each point is run with each of them in the place of the
    scenario's `seed` and that of every agent that has one, so that points of one seed meet the same chance.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    title: Annotated[str, Field(min_length=1, max_length=200)] = "A sweep"
    scenario: Path
    axes: Axes = Field(default_factory=dict)
    sample: Sample | None = None
    seeds: Annotated[tuple[Seed, ...], Field(max_length=100_000)] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        defects: list[tuple[tuple[str | int, ...], str]] = []
        if not self.axes and not self.seeds:
            defects.append((("axes",), "nothing is varied: needs an axis or seeds"))
        if self.sample is None:
            ranges = (name for name, axis in self.axes.items() if axis.is_range)
            defects += [(("axes", name), "a range needs [sample]; without, give values") for name in ranges]
        elif not self.axes:
            defects.append((("sample",), "there is no axis to draw from"))
        if self.seeds and SEED in self.axes:
            defects.append((("axes", SEED), "is what `seeds` says"))
        taken = self.axes.keys() & {RUN, *Measures.model_fields}
        defects += [(("axes", name), "is a column of the results already") for name in sorted(taken)]
        if len(set(self.seeds)) < len(self.seeds):
            defects.append((("seeds",), "one stands there twice"))
        refuse("Sweep", defects)
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """What tells runs apart, by the name in the results."""
        return (*self.axes, SEED) if self.seeds else tuple(self.axes)

    def paths_of(self, column: str) -> frozenset[str]:
        """The paths that one of the columns sets."""
        return self.axes[column].paths if column in self.axes else frozenset(_SEED_PATHS)


def read_sweep(file: Path) -> Sweep:
    """The sweep in a TOML file; BadSweep says what is wrong at which key."""
    try:
        return read_toml(file, Sweep)
    except BadFile as failure:
        raise BadSweep(str(failure)) from failure
