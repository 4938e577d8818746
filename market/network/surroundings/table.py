"""What surrounds the market's fleets on a network, as a scenario says it."""

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from api_spec.grid import Phase
from api_spec.ids import BusId
from api_spec.units import Count, Fraction, Message, NonNegative, Positive
from market.network.model import PHASES
from market.network.surroundings.chance import LoadNoise, Noise, drawn
from market.network.surroundings.heat import HeatPump, Outdoors
from market.network.surroundings.sunshine import Modules, Sky

Connected: TypeAlias = Literal["a", "b", "c", "in turn"]


class Spread(Message):
    """Where something stands.

    buses : none = every bus with load. share : of them that have it, drawn by the seed; a larger share has all that a
    smaller one has. phase : on three-phase networks; "in turn" = a, b, c from bus to bus, absent = on all three.
    """

    buses: tuple[BusId, ...] = ()
    share: Fraction = 1.0
    phase: Connected | None = None

    def places(self, loaded: Sequence[str], *, name: str, seed: int) -> tuple[tuple[str, Phase | None], ...]:
        """Buses and phases, in the order of buses. loaded : buses with load. name : of what stands there."""
        buses = sorted(self.buses or loaded)
        order = drawn(f"{name} where", seed=seed).permutation(len(buses))
        chosen = sorted(order[: round(self.share * len(buses))].tolist())
        return tuple((buses[at], self._phase(at)) for at in chosen)

    def _phase(self, at: int) -> Phase | None:
        if self.phase == "in turn":
            return PHASES[at % len(PHASES)]
        return self.phase


class Panels(Spread, Modules):
    """Modules at buses. peak_kw : of each bus."""

    peak_kw: Positive


class HeatPumps(Spread, HeatPump):
    """A heat pump at each of some buses.

    size_std : how buildings' losses differ, of the logarithm; nobody knows it in advance. power_factor : inductive.
    """

    size_std: Annotated[NonNegative, Field(le=1)] = 0.2
    power_factor: Annotated[Fraction, Field(gt=0)] = 0.95


class SurroundingsTable(Message):
    """By default nothing is there but the network's own load, which is exactly what it is expected to be.

    seed : of everything below; absent in a scenario = the scenario's. left_out : buses whose load in the network's file
    counts for nothing, because a participant draws all that is drawn there; absent in a scenario = those that its DSOs
    have as `nominated`. load : noise of each bus's load. common : the same for all buses together, its standard
    deviation is of the logarithm.
    """

    seed: Count | None = None
    left_out: tuple[BusId, ...] | None = None
    load: LoadNoise = LoadNoise()
    common: Noise = Noise(hours=6)
    sky: Sky = Sky()
    outdoors: Outdoors = Outdoors()
    pv: Annotated[tuple[Panels, ...], Field(max_length=100)] = ()
    heat_pumps: Annotated[tuple[HeatPumps, ...], Field(max_length=100)] = ()
