"""Prequalification: a resource against a product's tolerances and its network's limits; and what becomes of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from api_spec.grid import Network
from api_spec.prequalification import DecisionTerms, Finding, Prequalification, PrequalificationState
from api_spec.product import Product, Tolerances
from api_spec.resource import ReferenceLoad, Resource, ResourceAttributes, ResourceTerms
from market.errors import NoSuchStep
from market.orderbook.grid_check import admitted_increase, admitted_reduction

NEXT: Final[Mapping[PrequalificationState, frozenset[PrequalificationState]]] = {
    "applied": frozenset({"qualified", "conditional", "refused", "withdrawn", "expired"}),
    "qualified": frozenset({"refused", "withdrawn", "expired"}),
    "conditional": frozenset({"refused", "withdrawn", "expired"}),
    "refused": frozenset(),
    "withdrawn": frozenset(),
    "expired": frozenset(),
}
LIVE: Final = frozenset(state for state, following in NEXT.items() if following)


@dataclass(frozen=True)
class Assessment:
    """What the checks allow in the product's directions [W], and what they found against more."""

    reducible_w: int
    increasable_w: int
    findings: tuple[Finding, ...]

    @property
    def state(self) -> PrequalificationState:
        """Refused, where nothing is left of the capacity; otherwise the DSO decides."""
        return "applied" if self.reducible_w or self.increasable_w else "refused"


def assess(
    resource: ResourceTerms,
    product: Product,
    network: Network,
    reference: ReferenceLoad | None,
    *,
    reliability: float = 1.0,
) -> Assessment:
    """Check a resource against a product and its network, used alone.

    What fails a tolerance is refused as a whole; what the network does not carry is cut to what it does.
    reliability : score of its participant's past deliveries at its bus, 1 without any.
    """
    findings = [
        *_direction_findings(resource, product),
        *_tolerance_findings(resource.attributes, product.tolerances or Tolerances(), reliability),
    ]
    if findings:
        return Assessment(0, 0, tuple(findings))
    reduction = admitted_reduction(resource, network, reference)
    increase = admitted_increase(resource, network, reference)
    allowed = {
        way: each
        for way, each in (("reduction", reduction), ("increase", increase))
        if product.direction in (way, "both")
    }
    return Assessment(
        reducible_w=reduction.power_w if "reduction" in allowed else 0,
        increasable_w=increase.power_w if "increase" in allowed else 0,
        findings=tuple(each.finding for each in allowed.values() if each.finding is not None),
    )


def application_of(
    resource: Resource, product: Product, assessment: Assessment, *, id: str, now: datetime
) -> Prequalification:
    """A new application with what the checks say: refused at once, or waiting for the DSO."""
    return Prequalification(
        id=id,
        resource=resource.id,
        resource_version=resource.version,
        participant=resource.participant,
        product=product.name,
        network=resource.network,
        bus=resource.bus,
        phase=resource.phase,
        state=assessment.state,
        version=1,
        reducible_w=assessment.reducible_w,
        increasable_w=assessment.increasable_w,
        findings=assessment.findings,
        applied_at=now,
        decided_at=now if assessment.state == "refused" else None,
    )


def decided(application: Prequalification, decision: DecisionTerms, *, now: datetime) -> Prequalification:
    """The application after the DSO's word; NoSuchStep.

    Confirmed, it is qualified for all of its capacity, or conditionally for what the network carries. What is confirmed
    can still be refused later, for what is offered from then on.
    """
    if decision.answer == "refused":
        return changed(application, "refused", now=now, reason=decision.reason)
    to: PrequalificationState = "conditional" if application.findings else "qualified"
    return changed(application, to, now=now, reason=decision.reason)


def changed(
    application: Prequalification, to: PrequalificationState, *, now: datetime, reason: str | None = None
) -> Prequalification:
    """The application in its next state; NoSuchStep where there is no such step."""
    if to not in NEXT[application.state]:
        raise NoSuchStep(application.id, application.state, to)
    update = {"state": to, "version": application.version + 1, "decided_at": now, "reason": reason}
    return application.model_copy(update=update)


def _direction_findings(resource: ResourceTerms, product: Product) -> Iterable[Finding]:
    able = {"reduction": resource.reducible_w, "increase": resource.increasable_w}
    if product.direction != "both" and able[product.direction] == 0:
        detail = f"the product trades {product.direction}, of which the resource has none"
        yield Finding(check="direction", detail=detail, value=0, bound=product.min_power_w, unit="W")


def _tolerance_findings(own: ResourceAttributes, asked: Tolerances, reliability: float) -> Iterable[Finding]:
    """Everything that a product asks and a resource does not keep; what is not known of it is not kept."""
    if asked.min_accuracy is not None and (own.accuracy is None or own.accuracy < asked.min_accuracy):
        yield _finding("accuracy", own.accuracy, asked.min_accuracy, least=True)
    if asked.max_deviation is not None and (own.deviation is None or own.deviation > asked.max_deviation):
        yield _finding("deviation", own.deviation, asked.max_deviation, least=False)
    if asked.max_activation is not None and (own.activation is None or own.activation > asked.max_activation):
        seconds = None if own.activation is None else own.activation.total_seconds()
        yield _finding("activation", seconds, asked.max_activation.total_seconds(), least=False, unit="s")
    if asked.min_ramp_w_per_s is not None:
        ramps = (own.ramp_up_w_per_s, own.ramp_down_w_per_s)
        slowest = None if None in ramps else min(each for each in ramps if each is not None)
        if slowest is None or slowest < asked.min_ramp_w_per_s:
            yield _finding("ramp", slowest, asked.min_ramp_w_per_s, least=True, unit="W/s")
    if asked.min_reliability is not None and reliability < asked.min_reliability:
        yield _finding("reliability", reliability, asked.min_reliability, least=True)


def _finding(check: str, value: float | None, bound: float, *, least: bool, unit: str = "") -> Finding:
    asked = f"the product asks for {bound:g}{unit and ' '}{unit} or {'more' if least else 'less'}"
    stated = "the resource does not state it" if value is None else f"the resource has {value:g}{unit and ' '}{unit}"
    document = {"check": check, "detail": f"{check}: {stated}, {asked}", "value": value, "bound": bound, "unit": unit}
    return Finding.model_validate(document)
