"""What energy costs behind a meter: dearer to take from the network than to give to it."""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class EnergyPrices:
    """(period,) each [EUR/MWh]: of what is drawn at the connection point, and of what is fed in there."""

    import_eur_per_mwh: FloatArray
    export_eur_per_mwh: FloatArray

    def cost_eur(self, net_w: FloatArray, hours: float) -> float:
        """What the power at the connection point costs; net_w : (period,) consumption positive, `hours` each."""
        bought, sold = np.maximum(net_w, 0.0), np.maximum(-net_w, 0.0)
        return float(bought @ self.import_eur_per_mwh - sold @ self.export_eur_per_mwh) * hours * 1e-6


class RetailPrices(Message):
    """Prices of every hour of a local day [EUR/MWh], with all taxes and fees; a single number stands for all hours.

    export : at most the import price of the same hour, or buying in order to sell would earn.
    """

    import_eur_per_mwh: Real | Hourly
    export_eur_per_mwh: Real | Hourly = 0.0
    timezone: ZoneName = "Europe/Copenhagen"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        bought, sold = self._hourly(self.import_eur_per_mwh), self._hourly(self.export_eur_per_mwh)
        dear = np.flatnonzero(sold > bought)
        if len(dear):
            reason = f"must be at most the import price, which it is not at {dear[0]:02}:00"
            refuse("RetailPrices", [(("export_eur_per_mwh",), reason)])
        return self

    def on(self, period: MarketPeriod) -> EnergyPrices:
        """The prices of every period, at the local time of its start."""
        zone = ZoneInfo(self.timezone)
        hours = [start.astimezone(zone).hour for start in period.starts()]
        return EnergyPrices(self._hourly(self.import_eur_per_mwh)[hours], self._hourly(self.export_eur_per_mwh)[hours])

    @staticmethod
    def _hourly(price: float | tuple[float, ...]) -> FloatArray:
        return np.full(_HOURS, price) if isinstance(price, float) else np.array(price, dtype=np.float64)
