"""What counts in a plan: what energy, waiting, going without and peaks cost, what was sold, who is plugged in."""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field

from aggregator_agents.fleet import FloatArray, Session
from aggregator_agents.planning.grid import Grid
from api_spec.period import MarketPeriod
from api_spec.tariffs import TariffPrices
from api_spec.units import Fraction, Message, NonNegative, Positive, Real

BoolArray = np.typing.NDArray[np.bool_]
How = Literal["optimal", "relaxed", "water-fill"]
"""How a plan came about: proven within the gap asked for; rounded from the linear programme, or the best that was found
in time; shared out without a solver."""


class Valuation(Message):
    """What energy, waiting and going without are worth to drivers [EUR/MWh].

    price_eur_per_mwh : of energy at any time. waiting_eur_per_mwh_hour : what an MWh loses in worth for every hour
    after arrival. shortfall_eur_per_mwh : compensation for energy that a driver asked for and did not get. fairness :
    0 where every missing MWh counts the same, whoever misses it; 1 where every driver counts the same; see
    Problem.missing_eur_per_mwh. wear_eur_per_mwh : of a battery, per MWh that it feeds back. switching_eur : what it
    costs to stop a vehicle that is on and not done; starting one costs as much later, so it does not count.
    """

    price_eur_per_mwh: Real = 0.0
    waiting_eur_per_mwh_hour: Annotated[Positive, Field(le=1e4)] = 10.0
    shortfall_eur_per_mwh: NonNegative = 2000.0
    fairness: Fraction = 0.0
    wear_eur_per_mwh: NonNegative = 60.0
    switching_eur: Annotated[NonNegative, Field(le=100)] = 0.05


@dataclass(frozen=True, eq=False)
class Corridor:
    """Where power should stay, (step,) each.

    ceiling_w, floor_w : [W], infinite where there is none. missed_eur_per_mwh : price of leaving, per MWh outside.
    """

    ceiling_w: FloatArray
    floor_w: FloatArray
    missed_eur_per_mwh: FloatArray

    def on(self, grid: Grid, period: MarketPeriod) -> Self:
        """The corridor of a market's periods on the steps of a plan; none outside of them."""
        return type(self)(
            grid.sample(period, self.ceiling_w, otherwise=np.inf),
            grid.sample(period, self.floor_w, otherwise=-np.inf),
            grid.sample(period, self.missed_eur_per_mwh, otherwise=0.0),
        )


@dataclass(frozen=True, eq=False)
class Prices:
    """Of energy at the connection, (step,) each [EUR/MWh]: bought, and sold for at most as much."""

    buy_eur_per_mwh: FloatArray
    sell_eur_per_mwh: FloatArray

    def __post_init__(self) -> None:
        """ValueError where selling earns more than buying costs: such a plan would turn energy round for ever."""
        if (self.sell_eur_per_mwh > self.buy_eur_per_mwh + 1e-9).any():
            raise ValueError("energy must not be sold for more than it costs")

    @classmethod
    def bought(cls, buy_eur_per_mwh: FloatArray) -> Self:
        """Feeding in earns nothing, or costs what consuming earns."""
        return cls(buy_eur_per_mwh, np.minimum(buy_eur_per_mwh, 0.0))


@dataclass(frozen=True, eq=False)
class Peak:
    """A price of the highest import among some steps (capacity component of a tariff, or a critical window).

    price_eur_per_kw : for every kW above so_far_w, the highest import until now. counts : (step,) whether a step does.
    Every step counts as if it were one metering interval, so that a bill is never higher than the plan thought.
    """

    price_eur_per_kw: float
    so_far_w: float
    counts: BoolArray


@dataclass(frozen=True)
class AtPlug:
    """What is known of a vehicle that is plugged in.

    signal_a : signalled now, per phase [A]; negative discharges. charged_wh : what its session got already [Wh].
    phases : of the site that it was seen to draw on; None while that is unknown, which counts on all three. stops : how
    often it was switched off since it came.
    """

    signal_a: int = 0
    charged_wh: float = 0.0
    phases: tuple[int, ...] | None = None
    stops: int = 0


def tariff_on(period: MarketPeriod, known: TariffPrices | None) -> FloatArray:
    """(period,) energy price of a tariff [EUR/MWh]; where it is not known, the mean of what is; 0 without a tariff."""
    if known is None:
        return np.zeros(period.count)
    prices = np.array(known.energy_eur_per_mwh, dtype=np.float64)
    return Grid.of(period).sample(known.period, prices, otherwise=float(prices.mean()))


def waited_h(session: Session, period: MarketPeriod) -> FloatArray:
    """(period,) hours from arrival to the middle of each period; 0 before."""
    hours: FloatArray = Grid.of(period).waited_h([session])[0]
    return hours
