"""Where power changes: terminals, buses, and what stands behind each."""

from dataclasses import dataclass

import numpy as np

from api_spec.flexibility import FlexOffer
from market.network.model import FloatArray, Grid


@dataclass(frozen=True)
class Places:
    """Where power changes: every terminal, then (three-phase networks) every bus, balanced over its phases.

    Reactive changes stand behind all active ones: place + `count` is the same place for reactive power.
    """

    terminals: int
    phases: int

    @classmethod
    def of(cls, grid: Grid) -> "Places":
        """The places of a grid."""
        return cls(grid.terminals, grid.phases)

    @property
    def count(self) -> int:
        """Number of places, of active power alone."""
        return self.terminals if self.phases == 1 else self.terminals + self.terminals // self.phases

    def at(self, grid: Grid, offer: FlexOffer) -> int:
        """Place of an offer's active power."""
        bus = grid.bus_at[offer.bus]
        if offer.phase is None:
            return bus if self.phases == 1 else self.terminals + bus
        return int(grid.connected(offer.bus, offer.phase)[0])

    def terminals_at(self, place: int) -> tuple[int, ...]:
        """Terminals that active power at a place is shared by."""
        if place < self.terminals:
            return (place,)
        first = (place - self.terminals) * self.phases
        return tuple(range(first, first + self.phases))

    def from_terminals(self, active: FloatArray, reactive: FloatArray) -> FloatArray:
        """(..., 2 count) what terminals' values : (..., terminal) are worth at every place; balanced = the mean."""
        parts = []
        for each in (active, reactive):
            parts.append(each)
            if self.phases > 1:
                by_bus = each.reshape(*each.shape[:-1], self.terminals // self.phases, self.phases)
                parts.append(by_bus.mean(axis=-1))
        return np.concatenate(parts, axis=-1)

    def to_terminals(self, change: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(..., terminal) active and reactive change that changes at places : (..., 2 count) add up to."""
        found = []
        for start in (0, self.count):
            own = change[..., start : start + self.terminals]
            if self.phases > 1:
                balanced = change[..., start + self.terminals : start + self.count] / self.phases
                own = own + np.repeat(balanced, self.phases, axis=-1)
            found.append(own)
        return found[0], found[1]
