"""What contracts let a connection draw. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numpy as np

from aggregator_agents.fleet import FloatArray
from api_spec.contracts import AnyContractTerms, Contract, DimmingTerms, InterruptibleTerms, VariableCapacityTerms


@dataclass(frozen=True)
class Capacity:
    """The contracts of one connection that vary what it may draw; several add up. None of them: as much as its fuse."""

    terms: tuple[VariableCapacityTerms, ...] = ()

    @classmethod
    def at(cls, bus: str, contracts: Iterable[Contract], *, network: str, now: datetime) -> Self:
        """Of the contracts of one aggregator, those in force that are about this connection."""
        own = (each for each in contracts if each.in_force(now))
        varying = (each.terms for each in own if isinstance(each.terms, VariableCapacityTerms))
        return cls(tuple(each for each in varying if (each.network, each.bus) == (network, bus)))

    def most_w(self, starts: Sequence[datetime]) -> FloatArray:
        """(start,) the most that may be nominated at each instant [W]; infinite where no contract is valid."""
        return np.array([self._most_w(start) for start in starts], dtype=np.float64)

    def _most_w(self, instant: datetime) -> float:
        valid = [each.maximum_w(instant) for each in self.terms if each.covers(instant)]
        return float(sum(valid)) if valid else np.inf


def left_w(terms: AnyContractTerms) -> int | None:
    """What a connection may draw while a contract is called [W]; None where it sells a change, and limits nothing."""
    if isinstance(terms, DimmingTerms):
        return terms.minimum_w
    if isinstance(terms, InterruptibleTerms):
        return terms.firm_w
    return terms.lowered_to_w if isinstance(terms, VariableCapacityTerms) else None
