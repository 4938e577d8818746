"""Disputes: what may be disputed, until when, and what a decision may change."""

from collections.abc import Iterable
from datetime import datetime

from api_spec.auction import Auction
from api_spec.defects import Defect
from api_spec.dispute import Acceptance, Decision, Dispute, DisputeTerms, LineId
from api_spec.settlement import SettlementLine, Statement, StatementAcceptance
from market.errors import (
    CorrectionsClosed,
    DisputeDecided,
    NotAdmitted,
    PreconditionFailed,
    StatementAccepted,
    StatementDisputed,
)


def final_at(auction: Auction) -> datetime:
    """From when on readings and disputes are not taken any more."""
    return auction.delivery.end + auction.product.corrections_until


def require_correctable(auction: Auction, *, now: datetime) -> None:
    """Raise CorrectionsClosed once what was settled is final."""
    if now >= final_at(auction):
        raise CorrectionsClosed(auction.id, final_at(auction))


def require_newest(statement: Statement, version: int) -> None:
    """Raise PreconditionFailed where a participant means another version than its newest."""
    if version != statement.version:
        raise PreconditionFailed("statement of auction", statement.auction, statement.version)


def opened(
    terms: DisputeTerms,
    auction: Auction,
    statement: Statement,
    acceptances: Iterable[StatementAcceptance],
    *,
    id: str,
    now: datetime,
) -> Dispute:
    """A dispute of the newest statement's lines.

    Raises CorrectionsClosed, PreconditionFailed for another version, StatementAccepted, NotAdmitted for lines that are
    not in the statement.
    """
    require_correctable(auction, now=now)
    require_newest(statement, terms.version)
    _require_unaccepted(statement, acceptances)
    _require_lines("lines", terms.lines, statement.lines, "in the statement")
    fields = {name: getattr(terms, name) for name in DisputeTerms.model_fields}
    return Dispute(id=id, auction=auction.id, participant=statement.participant, state="open", opened_at=now, **fields)


def decided(dispute: Dispute, decision: Decision, *, now: datetime) -> Dispute:
    """The dispute with its decision. Raises DisputeDecided, and NotAdmitted where lines change that nobody disputed."""
    if dispute.state != "open":
        raise DisputeDecided(dispute.id, dispute.state)
    if isinstance(decision, Acceptance):
        _require_lines("metered", decision.metered, dispute.lines, "disputed")
        _require_lines("adjustments", decision.adjustments, dispute.lines, "disputed")
    return dispute.model_copy(update={"state": decision.decision, "decision": decision, "decided_at": now})


def accepted(
    statement: Statement,
    version: int,
    acceptances: Iterable[StatementAcceptance],
    disputes: Iterable[Dispute],
    *,
    now: datetime,
) -> StatementAcceptance:
    """Agreement with the newest statement.

    Raises PreconditionFailed for another version, StatementAccepted the second time, StatementDisputed while one of its
    lines is disputed.
    """
    require_newest(statement, version)
    _require_unaccepted(statement, acceptances)
    for each in disputes:
        if each.participant == statement.participant and each.state == "open":
            raise StatementDisputed(statement.auction, version, each.id)
    return StatementAcceptance(
        auction=statement.auction, participant=statement.participant, version=version, accepted_at=now
    )


def _require_unaccepted(statement: Statement, acceptances: Iterable[StatementAcceptance]) -> None:
    own = {each.version for each in acceptances if each.participant == statement.participant}
    if statement.version in own:
        raise StatementAccepted(statement.auction, statement.version)


def _require_lines(name: str, named: Iterable[LineId], among: Iterable[LineId | SettlementLine], where: str) -> None:
    known = {(each.bus, each.start) for each in among}
    found = tuple(
        Defect(f"/{name}/{at}", f"no line for {each.bus} at {each.start:%Y-%m-%d %H:%M} UTC is {where}")
        for at, each in enumerate(named)
        if (each.bus, each.start) not in known
    )
    if found:
        raise NotAdmitted(found)
