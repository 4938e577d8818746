"""What is varied in a sweep, and how: axes, each over one or several fields of the scenario.

[axes.penetration]
path = "agents.homes-*.config.sites.*.adoption"
values = [0.25, 0.5, 1.0]
"""

import math
from collections.abc import Iterator
from typing import Annotated, Any, Final, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from api_spec.defects import refuse
from api_spec.units import Message, Positive, Real

Scalar: TypeAlias = bool | int | float | str
Setting: TypeAlias = tuple[str, Any]
"""A path and what to put there."""

_KINDS: Final = ("values", "cases", "uniform", "log_uniform")


def _one_or_several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Paths = Annotated[tuple[str, ...], BeforeValidator(_one_or_several), Field(max_length=100)]


class Axis(Message):
    """One thing that is varied; its name in the sweep is its column in the results.

    path : the field, or the fields that are set alike. It has one of
    values : what to set. In a sample, each is as likely as the others.
    cases : by a name that the results show, what to set at which path; for what takes several fields.
    uniform, log_uniform : the least and the most; only in a sample. whole : whole numbers of these, both ends included.
    """

    path: Paths = ()
    values: Annotated[tuple[Any, ...], Field(min_length=1, max_length=100_000)] | None = None
    cases: Annotated[dict[str, dict[str, Any]], Field(min_length=1, max_length=10_000)] | None = None
    uniform: tuple[Real, Real] | None = None
    log_uniform: tuple[Positive, Positive] | None = None
    whole: bool = False

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        defects: list[tuple[tuple[str | int, ...], str]] = []
        given = [name for name in _KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            defects.append(((), f"needs one of {', '.join(_KINDS)}"))
        if (self.cases is None) != bool(self.path):
            defects.append((("path",), "is missing" if not self.path else "stands in each of the cases"))
        for name in ("uniform", "log_uniform"):
            ends = getattr(self, name)
            if ends is not None and not ends[0] < ends[1]:
                defects.append(((name,), "the least comes first, then the most"))
            if ends is not None and self.whole and not all(each.is_integer() for each in ends):
                defects.append(((name,), "ends at whole numbers where only whole numbers are drawn"))
        if self.whole and not self.is_range:
            defects.append((("whole",), "is for uniform and log_uniform"))
        labels = [repr(each) for each in self.values or ()]
        again = (number for number, each in enumerate(labels) if each in labels[:number])
        defects += [(("values", number), "stands there already") for number in again]
        refuse("Axis", defects)
        return self

    @property
    def is_range(self) -> bool:
        """Whether it has more values than can be counted, and so needs a sample."""
        return self.uniform is not None or self.log_uniform is not None

    @property
    def choices(self) -> tuple[Any, ...]:
        """All of its values, as results show them; of an axis that is no range."""
        return tuple(self.cases) if self.cases is not None else self.values or ()

    @property
    def paths(self) -> frozenset[str]:
        """Every path that it sets."""
        return frozenset(path for case in (self.cases or {}).values() for path in case) | frozenset(self.path)

    def drawn(self, share: float) -> Any:
        """The value below which a part `share` of the distribution lies, 0 <= share < 1."""
        if self.uniform is not None:
            return self._number(*self.uniform, share)
        if self.log_uniform is not None:
            least, most = self.log_uniform
            return self._number(least, most, share, logarithmic=True)
        return self.choices[int(share * len(self.choices))]

    def settings(self, value: Any) -> Iterator[Setting]:
        """What one of its values sets."""
        if self.cases is not None:
            yield from self.cases[value].items()
        else:
            yield from ((path, value) for path in self.path)

    def _number(self, least: float, most: float, share: float, *, logarithmic: bool = False) -> float | int:
        if self.whole:  # every whole number has a strip of its own, half a step to either side
            least, most = least - 0.5, most + 0.5
        if logarithmic:
            number = math.exp(math.log(least) + share * (math.log(most) - math.log(least)))
        else:
            number = least + share * (most - least)
        return min(max(round(number), math.ceil(least)), math.floor(most)) if self.whole else number


Axes: TypeAlias = Annotated[dict[Annotated[str, Field(pattern=r"^[A-Za-z]\w{0,63}$")], Axis], Field(max_length=100)]
