"""What may be read of an auction, and by whom: before publication nobody learns anything of others' offers."""

from typing import Final

from api_spec.auction import Auction, BookEntry, PublishedResult, RequestReceipt
from api_spec.award import Award
from api_spec.flexibility import FlexOffer
from api_spec.organisation import Organisation
from api_spec.settlement import Transfer
from market.clearing.terms import lowest_ask, offered_range_w
from market.errors import NotPublished
from market.instruments.calling import paid_as_awarded
from market.store import UnitOfWork
from market.store.auctions import Published

WITHHELD: Final = "it could not be cleared; its DSO and the market's operators can read what was missing"
"""In the place of why clearing failed: how much is missing beside all offers says how much was offered."""


def visible_auction(book: Auction, *, who: Organisation) -> Auction:
    """An auction; why its clearing failed is for its DSO and operators."""
    if book.failure is None or who.role == "operator" or who.id == book.dso:
        return book
    return book.model_copy(update={"failure": WITHHELD})


def visible_requests(auction: str, *, who: Organisation, work: UnitOfWork) -> list[RequestReceipt]:
    """The requests of an auction; only its DSO and operators see what the DSO would pay at most."""
    book = work.auctions.get(auction)
    requests = work.orders.requests(auction)
    if who.role == "operator" or who.id == book.dso:
        return requests
    hidden = {"max_price_eur_per_mwh": None}
    return [each.model_copy(update={"request": each.request.model_copy(update=hidden)}) for each in requests]


def published_result(auction: str, *, who: Organisation, work: UnitOfWork) -> PublishedResult:
    """Prices and limits for all; a reader's own offers, or all of them for the auction's DSO and operators."""
    book, outcome = work.auctions.get(auction), _outcome(auction, work)
    own = {offer.id for offer in outcome.case.offers if offer.participant == who.id}
    everything = who.role == "operator" or who.id == book.dso
    result = outcome.result
    return PublishedResult(
        auction=auction,
        version=outcome.version,
        published_at=outcome.published_at,
        status=result.status,
        input_sha256=result.input_sha256,
        cost_eur=result.cost_eur,
        prices_eur_per_mwh=result.prices_eur_per_mwh,
        limits=result.limits,
        verification=result.verification,
        offers=paid_as_awarded(
            (each for each in result.offers if everything or each.id in own), work.auctions.awards(auction)
        ),
    )


def own_awards(auction: str, *, participant: str, work: UnitOfWork) -> list[Award]:
    """A participant's own awards; of continuous trading, all that have been made so far."""
    work.auctions.get(auction)
    if work.auctions.version(auction) == 0:
        raise NotPublished(auction)
    return work.auctions.awards(auction, participant=participant)


def published_book(auction: str, *, work: UnitOfWork) -> list[BookEntry]:
    """The order book after publication, without owners, the cheapest first."""
    work.auctions.get(auction)
    outcome = _outcome(auction, work)
    accepted = {each.id: each.power_w for each in outcome.result.offers}
    entries = [_entry(offer, accepted[offer.id]) for offer in outcome.case.offers]
    return sorted(entries, key=lambda each: (each.lowest_ask_eur_per_mwh, each.bus, each.offered_w))


def visible_transfers(auction: str, *, who: Organisation, work: UnitOfWork) -> list[Transfer]:
    """Ledger entries that touch the reader's account; all of them for an operator."""
    work.auctions.get(auction)
    accounts = {f"dso:{who.id}", f"participant:{who.id}"}
    transfers = work.money.transfers(auction)
    return [each for each in transfers if who.role == "operator" or {each.debit, each.credit} & accounts]


def _outcome(auction: str, work: UnitOfWork) -> Published:
    outcome = work.auctions.published(auction)
    if outcome is None:
        raise NotPublished(auction)
    return outcome


def _entry(offer: FlexOffer, accepted_w: tuple[int, ...]) -> BookEntry:
    low, high = (each.tolist() for each in offered_range_w(offer))
    return BookEntry(
        bus=offer.bus,
        phase=offer.phase,
        kind=offer.kind,
        offered_w=tuple(least if -least >= most else most for least, most in zip(low, high, strict=True)),
        accepted_w=accepted_w,
        lowest_ask_eur_per_mwh=lowest_ask(offer),
    )
