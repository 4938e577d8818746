"""Statements as their readers see them, agreement with them, and disputes about them."""

from datetime import datetime

from api_spec.dispute import Decision, Dispute, DisputeTerms
from api_spec.organisation import Organisation
from api_spec.settlement import DsoStatement, Statement, StatementAcceptance, StatementVersion
from market.errors import NotFound
from market.ids import NewId, random_id
from market.ledger.disputes import accepted, decided, opened
from market.store import UnitOfWork


def own_statement(auction: str, *, participant: str, work: UnitOfWork) -> Statement:
    """A participant's newest statement; NotFound before settlement and for those without an award."""
    work.auctions.get(auction)
    statement = work.money.statement(auction, participant)
    if statement is None:
        raise NotFound("statement", auction)
    return statement


def visible_statements(auction: str, *, who: Organisation, work: UnitOfWork) -> list[Statement]:
    """All versions of a participant's own statement; everybody's for an operator."""
    work.auctions.get(auction)
    return work.money.statements(auction, participant=None if who.role == "operator" else who.id)


def dso_statements(auction: str, *, who: Organisation, work: UnitOfWork) -> list[DsoStatement]:
    """All versions of what the DSO pays, oldest first, for itself and operators; NotFound for any other."""
    _require_party(auction, who, work)
    return work.money.dso_statements(auction)


def dso_statement(auction: str, *, who: Organisation, work: UnitOfWork) -> DsoStatement:
    """The newest of them; NotFound before settlement."""
    versions = dso_statements(auction, who=who, work=work)
    if not versions:
        raise NotFound("statement", auction)
    return versions[-1]


def accept_statement(
    auction: str, version: StatementVersion, *, participant: str, now: datetime, work: UnitOfWork
) -> StatementAcceptance:
    """Agree with the newest statement: it is not disputed any more, unless a correction makes another version."""
    work.auctions.get(auction, lock="order")
    statement = own_statement(auction, participant=participant, work=work)
    before = work.disputes.acceptances(auction, participant=participant)
    disputes = work.disputes.of(auction, participant=participant)

    acceptance = accepted(statement, version.version, before, disputes, now=now)

    work.disputes.accept_statement(acceptance)
    return acceptance


def visible_acceptances(auction: str, *, who: Organisation, work: UnitOfWork) -> list[StatementAcceptance]:
    """A participant's own agreements; all for the auction's DSO and operators."""
    return work.disputes.acceptances(auction, participant=_own_only(auction, who, work))


def open_dispute(
    auction: str, terms: DisputeTerms, *, participant: str, now: datetime, work: UnitOfWork, new_id: NewId = random_id
) -> Dispute:
    """Dispute lines of one's newest statement."""
    book = work.auctions.get(auction, lock="order")
    statement = own_statement(auction, participant=participant, work=work)
    acceptances = work.disputes.acceptances(auction, participant=participant)

    dispute = opened(terms, book, statement, acceptances, id=new_id("dis", participant), now=now)

    work.disputes.add(dispute)
    return dispute


def decide_dispute(auction: str, dispute: str, decision: Decision, *, now: datetime, work: UnitOfWork) -> Dispute:
    """Accept or reject a dispute; money moves by the next correction."""
    work.auctions.get(auction, lock="close")
    found = decided(work.disputes.get(auction, dispute), decision, now=now)
    work.disputes.decide(found)
    return found


def visible_disputes(auction: str, *, who: Organisation, work: UnitOfWork) -> list[Dispute]:
    """A participant's own disputes; all for the auction's DSO and operators."""
    return work.disputes.of(auction, participant=_own_only(auction, who, work))


def one_dispute(auction: str, dispute: str, *, who: Organisation, work: UnitOfWork) -> Dispute:
    """A dispute that the reader may see; NotFound for any other."""
    own = _own_only(auction, who, work)
    found = work.disputes.get(auction, dispute)
    if own not in (None, found.participant):
        raise NotFound("dispute", dispute)
    return found


def _own_only(auction: str, who: Organisation, work: UnitOfWork) -> str | None:
    """Whose disputes the reader sees: its own, or (None) all."""
    if who.role == "aggregator":
        work.auctions.get(auction)
        return who.id
    _require_party(auction, who, work)
    return None


def _require_party(auction: str, who: Organisation, work: UnitOfWork) -> None:
    """Operators, and the DSO that pays; to anybody else the auction's accounts are not there."""
    book = work.auctions.get(auction)
    if who.role != "operator" and who.id != book.dso:
        raise NotFound("auction", auction)
