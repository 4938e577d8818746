"""A site's connection as a plan sees it: what else is behind the meter, and what energy costs there. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from aggregator_agents.capacity import Capacity
from aggregator_agents.fleet import PHASE_V, FloatArray, PhaseAmps, Session, Site
from aggregator_agents.planning import Grid, Peak, Prices, Problem, Valuation
from aggregator_agents.premises import Premises
from aggregator_agents.retail import RetailPrices
from aggregator_agents.strategy import HONEST, Conduct
from api_spec.period import MarketPeriod
from api_spec.tariffs import TariffPrices


@dataclass(frozen=True, eq=False)
class NetworkTerms:
    """What the network says of the use of a connection.

    tariff : its prices, which come on top of buying energy. capacity : what contracts let the connection draw. delay :
    by which the connection sees prices of energy change later than the clock.
    """

    tariff: TariffPrices | None = None
    capacity: Capacity = field(default_factory=Capacity)
    delay: timedelta = timedelta(0)


@dataclass(frozen=True, eq=False)
class Connection:
    """A site and its meter.

    premises : what else is there. retail : prices behind the meter, None for the aggregator's own valuation of energy.
    conduct : how its aggregator plays the market.
    """

    site: Site
    value: Valuation
    premises: Premises
    retail: RetailPrices | None = None
    terms: NetworkTerms = NetworkTerms()
    conduct: Conduct = HONEST

    @property
    def only_charges(self) -> bool:
        """Whether nothing is behind the meter but chargers, and energy costs what it costs elsewhere."""
        return self.premises.table.empty and self.retail is None

    def prices(self, grid: Grid) -> Prices:
        """Of energy on the steps of a plan; a tariff counts with its mean where it is not known."""
        tariff = np.zeros(grid.count)
        if self.terms.tariff is not None:
            known, period = np.array(self.terms.tariff.energy_eur_per_mwh, dtype=np.float64), self.terms.tariff.period
            seen = period.model_copy(update={"start": period.start + self.terms.delay})
            tariff = grid.sample(seen, known, otherwise=float(known.mean()))
        if self.conduct.strategies:
            tariff = tariff - self.conduct.pull_eur_per_mwh(grid.starts())
        if self.retail is None:
            return Prices.bought(self.value.price_eur_per_mwh + tariff)
        buy = self.retail.buying(grid.starts()) + tariff
        return Prices(buy, np.minimum(self.retail.selling(grid.starts()), buy))

    def most_w(self, grid: Grid) -> FloatArray | None:
        """(step,) what contracts let it draw [W]; None without any."""
        capacity = self.terms.capacity
        return capacity.most_w(grid.starts()) if capacity.terms else None

    def other_a(self, grid: Grid, *, issued: datetime) -> FloatArray | None:
        """(3, step) what else is expected behind the meter at `issued` [A]; None where nothing else is there."""
        if self.premises.table.empty:
            return None
        edges_s = grid.start.timestamp() + 3600 * grid.edges_h
        other: FloatArray = self.premises.expected_between(edges_s, issued=issued).T / PHASE_V
        return other

    def other_now_a(self, now: datetime) -> PhaseAmps:
        """What everything else behind the meter draws at this moment on each phase [A]."""
        first, second, third = (self.premises.now_w(now) / PHASE_V).tolist()
        return first, second, third

    def asked(
        self, sessions: Sequence[Session], period: MarketPeriod, *, issued: datetime, peaks: Sequence[Peak] = ()
    ) -> Problem:
        """What a plan of a market's periods is asked for, before anything is sold; amps need not be whole.

        peaks : what a higher one costs, on the market's periods.
        """
        grid = Grid.of(period)
        return Problem(
            self.site,
            grid,
            tuple(sessions),
            self.value,
            self.prices(grid),
            other_a=self.other_a(grid, issued=issued),
            most_w=self.most_w(grid),
            peaks=tuple(peaks),
            whole=False,
        )

    def under(self, terms: NetworkTerms) -> "Connection":
        """The same under other terms of the network."""
        return replace(self, terms=terms)
