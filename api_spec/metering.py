"""What is expected and what is measured: forecasts, baselines and meter readings.

The clearing's baseline of a bus is the DSO's forecast of its load without the chargers that take part, plus the
baselines that aggregators nominate for those.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api_spec.case import Injection
from api_spec.defects import Place, duplicates, refuse
from api_spec.flexibility import PowerSeries
from api_spec.ids import AuctionId, BusId, OrganisationId
from api_spec.period import Instant
from api_spec.units import Count, Message


class Forecast(Message):
    """A DSO's forecast of everything that no aggregator nominates, per bus and period."""

    injections: Annotated[tuple[Injection, ...], Field(max_length=100_000)]


class BusPower(Message):
    """Power at a bus, per period [W]."""

    bus: BusId
    power_w: PowerSeries


class BaselineNomination(Message):
    """What an aggregator's resources would draw without the market, at every bus where it has some."""

    buses: Annotated[tuple[BusPower, ...], Field(max_length=100_000)]

    @model_validator(mode="after")
    def _each_bus_once(self) -> Self:
        refuse("BaselineNomination", _repeated_buses(self.buses))
        return self


class Baseline(BaselineNomination):
    """A nominated baseline; the last version before gate closure is frozen and settled against."""

    auction: AuctionId
    participant: OrganisationId
    version: Count
    nominated_at: Instant
    frozen: bool


class ReadingTerms(Message):
    """Mean power that an aggregator's resources drew at each bus, per period from `start` on."""

    start: Instant
    buses: Annotated[tuple[BusPower, ...], Field(min_length=1, max_length=100_000)]

    @model_validator(mode="after")
    def _each_bus_once(self) -> Self:
        refuse("ReadingTerms", _repeated_buses(self.buses))
        return self


class Reading(ReadingTerms):
    """A meter reading as the market keeps it; a later one of the same period replaces it, as a new version."""

    auction: AuctionId
    participant: OrganisationId
    version: Count
    received_at: Instant


def _repeated_buses(buses: tuple[BusPower, ...]) -> list[tuple[Place, str]]:
    return [(("buses", at, "bus"), f'"{bus}" is there twice') for at, bus in duplicates(each.bus for each in buses)]
