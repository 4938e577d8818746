"""What energy costs behind a meter: dearer to take from the network than to give to it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import Field, model_validator

from aggregator_agents.fleet import FloatArray
from api_spec.calendar import ZoneName
from api_spec.defects import refuse
from api_spec.period import MarketPeriod
from api_spec.units import Message, Real

_HOURS: Final = 24
Hourly = Annotated[tuple[Real, ...], Field(min_length=_HOURS, max_length=_HOURS)]


class RetailPrices(Message):
    """Prices of every hour of a local day [EUR/MWh], with all taxes and fees; a single number stands for all hours.

    buy : of what is drawn at the connection point. sell : of what is fed in there; at most as much in the same hour,
    or buying in order to sell would earn.
    """

    buy_eur_per_mwh: Real | Hourly
    sell_eur_per_mwh: Real | Hourly = 0.0
    timezone: ZoneName = "Europe/Copenhagen"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        dear = np.flatnonzero(_hourly(self.sell_eur_per_mwh) > _hourly(self.buy_eur_per_mwh))
        if len(dear):
            reason = f"must be at most what is paid for buying, which it is not at {dear[0]:02}:00"
            refuse("RetailPrices", [(("sell_eur_per_mwh",), reason)])
        return self

    def buying(self, starts: Sequence[datetime]) -> FloatArray:
        """(start,) what one more MWh costs that is drawn at the connection point."""
        return self._at(starts, self.buy_eur_per_mwh)

    def selling(self, starts: Sequence[datetime]) -> FloatArray:
        """(start,) what one more MWh earns that is fed in there."""
        return self._at(starts, self.sell_eur_per_mwh)

    def cost_eur(self, net_w: FloatArray, period: MarketPeriod) -> float:
        """What the energy of a connection point costs; net_w : (period,) its mean power, consumption positive [W]."""
        starts = period.starts()
        bought, sold = np.maximum(net_w, 0.0), np.maximum(-net_w, 0.0)
        return float(bought @ self.buying(starts) - sold @ self.selling(starts)) * period.hours * 1e-6

    def _at(self, starts: Sequence[datetime], price: float | tuple[float, ...]) -> FloatArray:
        zone = ZoneInfo(self.timezone)
        return _hourly(price)[[start.astimezone(zone).hour for start in starts]]


def _hourly(price: float | tuple[float, ...]) -> FloatArray:
    return np.full(_HOURS, price) if isinstance(price, float) else np.array(price, dtype=np.float64)
