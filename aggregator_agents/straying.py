"""How far drivers stray from what they said: when they leave, and how much energy their vehicles take. Pure.

    said, asked         announced stay [h] and energy [Wh]
    stay  = said  x Qs(u)        u, v uniform on (0, 1), of normals with correlation r
    taken = asked x Qe(v)

Qs, Qe are piecewise linear quantile functions of the class of announced stays that `said` falls into.
"""

import tomllib
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from math import erf, sqrt
from typing import Annotated, Final, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from aggregator_agents.fleet import Session
from api_spec.defects import refuse
from api_spec.units import Message, NonNegative, Positive, Real

_LEAST_STAY: Final = timedelta(minutes=5)
_SOURCE: Final = "workplace.toml"


def _rising(values: tuple[float, ...]) -> tuple[float, ...]:
    if any(later < earlier for earlier, later in pairwise(values)):
        raise ValueError("quantiles must not fall")
    return values


Quantiles = Annotated[tuple[NonNegative, ...], Field(min_length=2, max_length=101), AfterValidator(_rising)]
"""At evenly spaced levels from 0 to 1."""


@dataclass(frozen=True)
class Stay:
    """One session, as its driver announced it and as it happened: when it ended, and what the vehicle took."""

    said: Session
    did: Session


class Announced(Message):
    """Drivers who announce a stay of up to `up_to_h` hours: quantiles of what happens over what they announced."""

    up_to_h: Positive
    stay: Quantiles
    energy: Quantiles


class Straying(Message):
    """The fitted model; equations above. classes : by growing `up_to_h`; the last counts for longer stays, too."""

    correlation: Annotated[Real, Field(ge=-1, le=1)] = 0.0
    classes: Annotated[tuple[Announced, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        limits = [each.up_to_h for each in self.classes]
        found = [
            (("classes", at + 1, "up_to_h"), "must be above that of the class before")
            for at, (before, own) in enumerate(pairwise(limits))
            if own <= before
        ]
        refuse("Straying", found)
        return self

    def class_of(self, said: Session) -> Announced:
        """The class of a session's announced stay."""
        hours = (said.departs - said.arrives) / timedelta(hours=1)
        return next((each for each in self.classes if hours <= each.up_to_h), self.classes[-1])

    def happens(self, said: Session, random: np.random.Generator) -> Session:
        """What becomes of an announced session; at least five minutes long."""
        own, first, other = self.class_of(said), random.standard_normal(), random.standard_normal()
        second = self.correlation * first + sqrt(1 - self.correlation**2) * other
        stay = (said.departs - said.arrives) * _at(own.stay, _level(first))
        taken_wh = said.energy_wh * _at(own.energy, _level(second))
        return replace(said, departs=said.arrives + max(stay, _LEAST_STAY), energy_wh=taken_wh)


@cache
def workplace() -> Straying:
    """Drivers at two workplaces, fitted to 25 330 sessions; source and method stand in the file."""
    return Straying.model_validate(tomllib.loads(files(__package__).joinpath(_SOURCE).read_text("utf-8"))["straying"])


def _at(quantiles: tuple[float, ...], level: float) -> float:
    return float(np.interp(level, np.linspace(0, 1, len(quantiles)), quantiles))


def _level(normal: float) -> float:
    return 0.5 * (1 + erf(normal / sqrt(2)))
