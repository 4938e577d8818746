"""Whether a resource may be offered under a product: what was checked, what came of it, and who decided."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from api_spec.defects import refuse
from api_spec.grid import Phase
from api_spec.ids import BusId, Identifier, NetworkId, OrganisationId
from api_spec.period import Instant
from api_spec.product import ProductName
from api_spec.units import Count, Message, Real, Watts

PrequalificationState: TypeAlias = Literal["applied", "qualified", "conditional", "refused", "withdrawn", "expired"]
Check: TypeAlias = Literal["direction", "accuracy", "deviation", "activation", "ramp", "reliability", "grid"]


class Finding(Message):
    """One thing that stands against a resource: what was checked, its value and the bound that it breaks, in `unit`."""

    check: Check
    detail: str
    value: Real | None = None
    bound: Real | None = None
    unit: str = ""


class PrequalificationTerms(Message):
    """An application: one resource, one registered product."""

    product: ProductName


class Prequalification(Message):
    """An application and what came of it.

    state : "applied" until the network's DSO decides; "qualified" for all of the resource's capacity, "conditional" up
    to less; "refused" by the market's checks (`findings`) or by the DSO (`reason`); "withdrawn" by its participant;
    "expired" once the resource has changed. reducible_w, increasable_w : what the checks allow [W], in the product's
    directions. version : counts changes of state, from 1.
    """

    id: Identifier
    resource: Identifier
    resource_version: Count
    participant: OrganisationId
    product: ProductName
    network: NetworkId
    bus: BusId
    phase: Phase | None = None
    state: PrequalificationState
    version: Count
    reducible_w: Watts
    increasable_w: Watts
    findings: tuple[Finding, ...] = ()
    reason: str | None = None
    applied_at: Instant
    decided_at: Instant | None = None


class DecisionTerms(Message):
    """A DSO's word on an application; refusing needs a reason."""

    answer: Literal["confirmed", "refused"]
    reason: Annotated[str, Field(min_length=1, max_length=1000)] | None = None

    @model_validator(mode="after")
    def _refused_with_a_reason(self) -> Self:
        if self.answer == "refused" and self.reason is None:
            refuse("DecisionTerms", [(("reason",), "say why it is refused")])
        return self
