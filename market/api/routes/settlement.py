"""What follows from readings, for those whose money it is: statements, corrections, disputes and the ledger."""

from typing import Annotated

from fastapi import Body, Response

from api_spec.dispute import Decision, Dispute, DisputeTerms
from api_spec.settlement import DsoStatement, Statement, StatementAcceptance, StatementVersion, Transfer
from api_spec.units import Message
from market.api.auth import (
    AccountHolder,
    AggregatorOrOperator,
    AggregatorPaid,
    AggregatorSettling,
    DsoOrOperatorPaying,
    Operator,
)
from market.api.intake import StrictRoute
from market.api.paging import PageOf
from market.api.posting import IdempotencyKey, once
from market.api.sections import Section
from market.api.statements import ShapeOf, shaped, shapes
from market.api.world import WorldOf
from market.workflow import disputing, outcome, settling

router = Section(route_class=StrictRoute, prefix="/auctions/{auction}")


@router.get("/statement", response_model=Statement, responses=shapes)
def statement(auction: str, who: AggregatorPaid, world: WorldOf, shape: ShapeOf) -> Response:
    """One's newest settled statement, as JSON, CSV or a page to print."""
    with world.reading() as work:
        found = disputing.own_statement(auction, participant=who.id, work=work)
        return shaped(found, shape, world, auction=work.auctions.get(auction))


@router.get("/statements")
def statements(auction: str, who: AggregatorOrOperator, world: WorldOf, page: PageOf) -> list[Statement]:
    """All versions of one's statement; everybody's for an operator."""
    with world.reading() as work:
        found = disputing.visible_statements(auction, who=who, work=work)
    return page.of(found, lambda each: f"{each.participant}:{each.version}")


@router.get("/dso-statement", response_model=DsoStatement, responses=shapes)
def dso_statement(auction: str, who: DsoOrOperatorPaying, world: WorldOf, shape: ShapeOf) -> Response:
    """What the auction's DSO pays, as JSON, CSV or a page to print."""
    with world.reading() as work:
        found = disputing.dso_statement(auction, who=who, work=work)
        return shaped(found, shape, world, auction=work.auctions.get(auction))


@router.get("/dso-statements")
def dso_statements(auction: str, who: DsoOrOperatorPaying, world: WorldOf, page: PageOf) -> list[DsoStatement]:
    """All versions of what the auction's DSO pays."""
    with world.reading() as work:
        return page.of(disputing.dso_statements(auction, who=who, work=work), lambda each: str(each.version))


@router.post("/corrections", status_code=201)
def correct(auction: str, who: Operator, world: WorldOf, key: IdempotencyKey) -> DsoStatement:
    """Take in what came after settlement; repeated under its key it is done once."""
    now = world.clock.now()
    return once(
        world, who, key, f"correct {auction}", Message(),
        lambda work: settling.correct_auction(auction, now=now, work=work), DsoStatement,
    )  # fmt: skip


@router.post("/acceptances", status_code=201)
def accept_statement(
    auction: str, version: StatementVersion, who: AggregatorSettling, world: WorldOf, key: IdempotencyKey
) -> StatementAcceptance:
    """Agree with one's newest statement."""
    now = world.clock.now()
    return once(
        world, who, key, f"accept_statement {auction}", version,
        lambda work: disputing.accept_statement(auction, version, participant=who.id, now=now, work=work),
        StatementAcceptance,
    )  # fmt: skip


@router.get("/acceptances")
def acceptances(auction: str, who: AccountHolder, world: WorldOf, page: PageOf) -> list[StatementAcceptance]:
    """One's own agreements; all for the auction's DSO and operators."""
    with world.reading() as work:
        found = disputing.visible_acceptances(auction, who=who, work=work)
    return page.of(found, lambda each: f"{each.participant}:{each.version}")


@router.post("/disputes", status_code=201)
def open_dispute(
    auction: str, terms: DisputeTerms, who: AggregatorSettling, world: WorldOf, key: IdempotencyKey
) -> Dispute:
    """Dispute lines of one's newest statement."""
    now = world.clock.now()
    return once(
        world, who, key, f"open_dispute {auction}", terms,
        lambda work: disputing.open_dispute(
            auction, terms, participant=who.id, now=now, work=work, new_id=world.new_id
        ),
        Dispute,
    )  # fmt: skip


@router.get("/disputes")
def disputes(auction: str, who: AccountHolder, world: WorldOf, page: PageOf) -> list[Dispute]:
    """One's own disputes; all for the auction's DSO and operators."""
    with world.reading() as work:
        return page.of(disputing.visible_disputes(auction, who=who, work=work), lambda each: each.id)


@router.get("/disputes/{dispute}")
def dispute(auction: str, dispute: str, who: AccountHolder, world: WorldOf) -> Dispute:
    """One dispute."""
    with world.reading() as work:
        return disputing.one_dispute(auction, dispute, who=who, work=work)


@router.post("/disputes/{dispute}/decision", status_code=201)
def decide_dispute(
    auction: str,
    dispute: str,
    decision: Annotated[Decision, Body()],
    who: Operator,
    world: WorldOf,
    key: IdempotencyKey,
) -> Dispute:
    """Accept or reject a dispute; an accepted one is taken in by the next correction."""
    now = world.clock.now()
    return once(
        world, who, key, f"decide_dispute {auction} {dispute}", decision,
        lambda work: disputing.decide_dispute(auction, dispute, decision, now=now, work=work), Dispute,
    )  # fmt: skip


@router.get("/transfers")
def transfers(auction: str, who: AccountHolder, world: WorldOf, page: PageOf) -> list[Transfer]:
    """Ledger entries that touch one's account; all for an operator."""
    with world.reading() as work:
        return page.of(outcome.visible_transfers(auction, who=who, work=work), lambda each: each.id)
