"""Tariffs and contracts of a scenario, and what energy costs: what the DSO has besides the market, as tables.

What a table leaves out follows from the scenario: the network, who takes part, and that all of it holds from the
beginning of the month in which virtual time begins.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Self
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from api_spec.calendar import ZoneName, month_of
from api_spec.contracts import AnyContractTerms
from api_spec.defects import refuse
from api_spec.ids import BusId
from api_spec.period import MarketPeriod
from api_spec.tariffs import AnyComponent, TariffTerms
from api_spec.units import Message, Real
from market.network.model import FloatArray

_TERMS: Final[TypeAdapter[AnyContractTerms]] = TypeAdapter(AnyContractTerms)
_FROM_SCENARIO: Final = ("participant", "network", "bus")
_SOMEBODY: Final = "somebody"
_HOURS: Final = 24


class TariffTable(Message):
    """A network tariff, under the name of its table. Agents name it to plan with it.

    dso : participant whose tariff it is; absent = the first DSO. payers : aggregators whose connection points are
    billed; absent = all. zone : of its windows and months; absent = the scenario's. components : what is charged.
    """

    dso: str | None = None
    payers: tuple[str, ...] = ()
    zone: ZoneName | None = None
    components: Annotated[tuple[AnyComponent, ...], Field(min_length=1, max_length=20)]

    def terms(self, name: str, *, network: str, zone: str, begins: datetime) -> TariffTerms:
        """What the DSO registers. zone : of the scenario."""
        own = self.zone or zone
        valid_from = month_of(begins, own).start
        return TariffTerms(name=name, network=network, zone=own, valid_from=valid_from, components=self.components)


class ContractTable(Message):
    """The same contract, or duty by a grid code, at some connection points.

    dso : participant that has it; absent = the first DSO. agents : whose connection points; absent = every
    aggregator's. buses : of them; absent = all. terms : see api_spec.contracts; zone and valid_from may be left out.
    """

    dso: str | None = None
    agents: tuple[str, ...] = ()
    buses: tuple[BusId, ...] = ()
    terms: dict[str, Any]

    @model_validator(mode="after")
    def _agreeable(self) -> Self:
        refuse(
            "ContractTable", ((("terms", n), "is what the scenario says") for n in _FROM_SCENARIO if n in self.terms)
        )
        now = datetime.fromisoformat("2026-01-01T00:00Z")
        try:
            self.at(_SOMEBODY, bus=_SOMEBODY, network=_SOMEBODY, zone="UTC", begins=now)
        except ValidationError as failure:
            lines = failure.errors(include_url=False, include_input=False)
            refuse("ContractTable", ((("terms", *each["loc"][1:]), str(each["msg"])) for each in lines))
        return self

    def at(self, participant: str, *, bus: str, network: str, zone: str, begins: datetime) -> AnyContractTerms:
        """What the DSO proposes to a participant (its organisation's id) at one bus."""
        own = {"zone": zone, "valid_from": month_of(begins, zone).start, **self.terms}
        return _TERMS.validate_python({**own, "participant": participant, "network": network, "bus": bus})


class SupplyTable(Message):
    """What energy costs besides the network. A single number stands for all hours of a local day.

    price_eur_per_mwh : drivers pay it to their aggregator, on top of the network tariffs that are passed on to them.
    cost_eur_per_mwh : aggregators pay it for what their fleets draw, such as a day-ahead price of every hour.
    timezone : of the hours; absent = the scenario's.
    """

    price_eur_per_mwh: Real = 0.0
    cost_eur_per_mwh: Real | Annotated[tuple[Real, ...], Field(min_length=_HOURS, max_length=_HOURS)] = 0.0
    timezone: ZoneName | None = None

    def cost_eur(self, drawn_w: FloatArray, delivery: MarketPeriod, *, zone: str) -> float:
        """What aggregators pay for energy. drawn_w : (period,) of all fleets [W]."""
        hourly = np.broadcast_to(np.array(self.cost_eur_per_mwh, dtype=np.float64), _HOURS)
        local = ZoneInfo(self.timezone or zone)
        price = hourly[[start.astimezone(local).hour for start in delivery.starts()]]
        return float(price @ drawn_w) * delivery.hours * 1e-6

    def price_eur(self, drawn_w: FloatArray, delivery: MarketPeriod) -> float:
        """What drivers pay for energy, without the network."""
        return self.price_eur_per_mwh * float(drawn_w.sum()) * delivery.hours * 1e-6


def strangers(
    tariffs: Mapping[str, TariffTable], contracts: Mapping[str, ContractTable], roles: Mapping[str, str]
) -> list[tuple[tuple[str | int, ...], str]]:
    """Places in a scenario where a table names a participant that is not there, and why. roles : by participant."""
    found: list[tuple[tuple[str | int, ...], str]] = []
    named: list[tuple[str, str, str | None, str, tuple[str, ...]]] = [
        ("tariffs", name, each.dso, "payers", each.payers) for name, each in tariffs.items()
    ]
    named += [("contracts", name, each.dso, "agents", each.agents) for name, each in contracts.items()]
    for kind, name, dso, key, agents in named:
        if dso is not None and roles.get(dso) != "dso":
            found.append(((kind, name, "dso"), f'no DSO "{dso}"'))
        for at, agent in enumerate(agents):
            if roles.get(agent) != "aggregator":
                found.append(((kind, name, key, at), f'no aggregator "{agent}"'))
    return found
