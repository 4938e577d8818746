"""Awards are answered: the participant says whether it will deliver, and the DSO sees who has."""

from datetime import datetime

from api_spec.award import AcknowledgedAward, Acknowledgement, AcknowledgementTerms
from api_spec.organisation import Organisation
from market.errors import NotFound, NotPublished, WrongState
from market.store import UnitOfWork


def acknowledge_award(
    auction: str, offer: str, terms: AcknowledgementTerms, *, participant: str, now: datetime, work: UnitOfWork
) -> Acknowledgement:
    """Answer one of a participant's awards, once, until the auction is settled."""
    book = work.auctions.get(auction)
    if work.auctions.version(auction) == 0:
        raise NotPublished(auction)
    if book.state == "settled":
        raise WrongState(auction, book.state, "acknowledged")
    own = work.auctions.awards(auction, participant=participant)
    if (offer, terms.version) not in {(each.offer, each.version) for each in own}:
        raise NotFound("award", offer)
    answer = Acknowledgement(
        version=terms.version,
        answer=terms.answer,
        reason=terms.reason,
        auction=auction,
        offer=offer,
        participant=participant,
        acknowledged_at=now,
    )

    work.reservations.acknowledge(answer)
    return answer


def acknowledged_awards(auction: str, *, who: Organisation, work: UnitOfWork) -> list[AcknowledgedAward]:
    """All awards of an auction with their answers, for its DSO and operators; a participant's own for itself."""
    book = work.auctions.get(auction)
    if work.auctions.version(auction) == 0:
        raise NotPublished(auction)
    answers = work.reservations.acknowledgements(auction)
    return [
        AcknowledgedAward(
            version=each.version,
            offer=each.offer,
            participant=each.participant,
            bus=each.bus,
            phase=each.phase,
            power_w=each.power_w,
            acknowledgement=answers.get((each.offer, each.version)),
        )
        for each in work.auctions.awards(auction)
        if who.role == "operator" or who.id in (book.dso, each.participant)
    ]
