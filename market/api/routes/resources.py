"""Products, resources and prequalification: what comes before any auction."""

from typing import Annotated

from fastapi import Header, Response

from api_spec.prequalification import DecisionTerms, Prequalification, PrequalificationTerms
from api_spec.product import Product
from api_spec.resource import BusCapacity, ReferenceLoad, Resource, ResourceTerms
from market.api.auth import Aggregator, AggregatorReading, Anyone, Dso, DsoOrOperatorWriting, DsoReading
from market.api.intake import StrictRoute
from market.api.paging import PageOf
from market.api.posting import IdempotencyKey, once
from market.api.sections import Section
from market.api.versions import if_match, tag
from market.api.world import WorldOf
from market.workflow import prequalifying

router = Section(route_class=StrictRoute)
IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=50)]


@router.post("/products", status_code=201)
def register_product(product: Product, who: DsoOrOperatorWriting, world: WorldOf, key: IdempotencyKey) -> Product:
    """Register a product; it never changes, a changed one takes another name."""
    now = world.clock.now()
    return once(
        world, who, key, "register_product", product,
        lambda work: prequalifying.register_product(product, owner=who.id, now=now, work=work), Product,
    )  # fmt: skip


@router.get("/products")
def products(who: Anyone, world: WorldOf, page: PageOf) -> list[Product]:
    """The catalogue, by name."""
    with world.reading() as work:
        return page.of(work.catalogue.all(), lambda each: each.name)


@router.get("/products/{product}")
def one_product(product: str, who: Anyone, world: WorldOf) -> Product:
    """One product."""
    with world.reading() as work:
        return work.catalogue.get(product)


@router.put("/networks/{network}/reference-load")
def set_reference_load(network: str, load: ReferenceLoad, who: Dso, world: WorldOf) -> ReferenceLoad:
    """Set or replace what one's network carries without the resources that ask to be admitted."""
    return world.write(lambda work: prequalifying.set_reference_load(network, load, dso=who.id, work=work))


@router.get("/networks/{network}/reference-load")
def reference_load(network: str, who: DsoReading, world: WorldOf) -> ReferenceLoad:
    """What one's network carries without the resources that ask to be admitted."""
    with world.reading() as work:
        return prequalifying.reference_load(network, dso=who.id, work=work)


@router.get("/networks/{network}/resources")
def network_resources(network: str, who: DsoReading, world: WorldOf) -> tuple[BusCapacity, ...]:
    """Resources on one's network, summed per bus, phase and capability."""
    with world.reading() as work:
        return prequalifying.network_resources(network, dso=who.id, work=work)


@router.get("/networks/{network}/prequalifications")
def network_prequalifications(network: str, who: DsoReading, world: WorldOf, page: PageOf) -> list[Prequalification]:
    """Applications on one's network."""
    with world.reading() as work:
        found = prequalifying.network_prequalifications(network, dso=who.id, work=work)
        return page.of(found, lambda each: each.id)


@router.post("/resources", status_code=201)
def register_resource(
    terms: ResourceTerms, who: Aggregator, world: WorldOf, key: IdempotencyKey, response: Response
) -> Resource:
    """Register a resource."""
    now = world.clock.now()
    kept = once(
        world, who, key, "register_resource", terms,
        lambda work: prequalifying.register_resource(
            terms, participant=who.id, now=now, work=work, new_id=world.new_id
        ), Resource,
    )  # fmt: skip
    tag(response, kept.version)
    return kept


@router.get("/resources")
def resources(who: AggregatorReading, world: WorldOf, page: PageOf) -> list[Resource]:
    """One's own resources."""
    with world.reading() as work:
        return page.of(work.resources.resources(participant=who.id), lambda each: each.id)


@router.get("/resources/{resource}")
def one_resource(resource: str, who: AggregatorReading, world: WorldOf, response: Response) -> Resource:
    """One of one's own resources."""
    with world.reading() as work:
        found = work.resources.resource(resource, participant=who.id)
    tag(response, found.version)
    return found


@router.put("/resources/{resource}")
def replace_resource(
    resource: str, terms: ResourceTerms, who: Aggregator, world: WorldOf, response: Response, match: IfMatch = None
) -> Resource:
    """Replace the version of a resource that If-Match names; its prequalification expires."""
    version, now = if_match(match, "resource"), world.clock.now()
    kept = world.write(
        lambda work: prequalifying.replace_resource(
            resource, terms, version=version, participant=who.id, now=now, work=work
        )
    )
    tag(response, kept.version)
    return kept


@router.delete("/resources/{resource}", status_code=204)
def remove_resource(resource: str, who: Aggregator, world: WorldOf, match: IfMatch = None) -> None:
    """Erase the version of a resource that If-Match names."""
    version, now = if_match(match, "resource"), world.clock.now()
    world.write(
        lambda work: prequalifying.remove_resource(resource, version=version, participant=who.id, now=now, work=work)
    )


@router.post("/resources/{resource}/prequalifications", status_code=201)
def apply_for(
    resource: str,
    terms: PrequalificationTerms,
    who: Aggregator,
    world: WorldOf,
    key: IdempotencyKey,
    response: Response,
) -> Prequalification:
    """Apply for a product: checked at once, then decided by the network's DSO."""
    now = world.clock.now()
    with world.reading() as work:
        checked = prequalifying.check(resource, terms, participant=who.id, work=work)
    kept = once(
        world, who, key, f"apply_for {resource}", terms,
        lambda work: prequalifying.apply_for(
            resource, terms, checked, participant=who.id, now=now, work=work, new_id=world.new_id
        ), Prequalification,
    )  # fmt: skip
    tag(response, kept.version)
    return kept


@router.get("/resources/{resource}/prequalifications")
def prequalifications(resource: str, who: AggregatorReading, world: WorldOf, page: PageOf) -> list[Prequalification]:
    """All applications of one of one's resources."""
    with world.reading() as work:
        found = prequalifying.resource_prequalifications(resource, participant=who.id, work=work)
        return page.of(found, lambda each: each.id)


@router.put("/prequalifications/{prequalification}/decision")
def decide(
    prequalification: str,
    decision: DecisionTerms,
    who: Dso,
    world: WorldOf,
    response: Response,
    match: IfMatch = None,
) -> Prequalification:
    """Confirm or refuse the version of an application that If-Match names."""
    version, now = if_match(match, "prequalification"), world.clock.now()
    kept = world.write(
        lambda work: prequalifying.decide(prequalification, decision, version=version, dso=who.id, now=now, work=work)
    )
    tag(response, kept.version)
    return kept


@router.delete("/prequalifications/{prequalification}", status_code=204)
def withdraw(prequalification: str, who: Aggregator, world: WorldOf, match: IfMatch = None) -> None:
    """Withdraw the version of an application that If-Match names."""
    version, now = if_match(match, "prequalification"), world.clock.now()
    world.write(
        lambda work: prequalifying.withdraw(prequalification, version=version, participant=who.id, now=now, work=work)
    )
