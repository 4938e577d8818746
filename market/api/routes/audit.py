"""The audit log: its signed heads, and proofs over them."""

from typing import Annotated

from fastapi import Query

from api_spec.audit import ConsistencyProof, InclusionProof, TreeHead
from market.api.auth import Anyone, Proving
from market.api.intake import StrictRoute
from market.api.paging import PageOf
from market.api.sections import Section
from market.api.world import WorldOf
from market.workflow import auditing

router = Section(route_class=StrictRoute, prefix="/audit")

Size = Annotated[int, Query(ge=0, le=10**9)]
Name = Annotated[str, Query(min_length=1, max_length=100)]


@router.get("/head")
def head(who: Anyone, world: WorldOf) -> TreeHead:
    """The newest signed head: for operators of all of the log, for others up to the oldest unpublished auction."""
    with world.reading() as work:
        return auditing.newest_head(who=who, work=work)


@router.get("/heads")
def heads(who: Anyone, world: WorldOf, page: PageOf) -> list[TreeHead]:
    """All signed heads that one may see, the oldest first."""
    with world.reading() as work:
        found = auditing.heads(who=who, work=work, after=page.number(), limit=page.limit + 1)
    if len(found) > page.limit:
        page.link_next(str(found[page.limit - 1].number))
    return found[: page.limit]


@router.get("/inclusion")
def inclusion(
    who: Proving, world: WorldOf, kind: auditing.Provable, auction: Name, offer: Name | None = None
) -> InclusionProof:
    """That one's own offer, award or statement is in the log as it stands; of a statement, `offer` is left out."""
    with world.reading() as work:
        return auditing.inclusion(kind, auction=auction, offer=offer, who=who, work=work)


@router.get("/consistency")
def consistency(who: Anyone, world: WorldOf, first: Size, second: Size) -> ConsistencyProof:
    """That the log's first `first` leaves are how its first `second` leaves begin."""
    with world.reading() as work:
        return auditing.consistency(first, second, who=who, work=work)
