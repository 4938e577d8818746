"""The double-entry ledger of an auction: pending reservations at publication, posted payments at settlement."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from api_spec.auction import Auction
from api_spec.award import Award
from api_spec.settlement import Statement, Transfer


def pending_transfers(auction: Auction, awards: Iterable[Award], *, at: datetime) -> tuple[Transfer, ...]:
    """Reserve what each participant's awards earn when all of them are delivered.

    Money moves from the DSO's account to the participant's; a negative amount is a payment the other way.
    """
    due: dict[str, Decimal] = defaultdict(Decimal)
    for award in awards:
        due[award.participant] += award.payment_eur + award.uplift_eur
    return tuple(
        _transfer(auction, participant, amount, stage="pending", memo="award", at=at)
        for participant, amount in sorted(due.items())
    )


def settling_transfers(
    auction: Auction, pending: Iterable[Transfer], settled: Iterable[Statement], *, at: datetime
) -> tuple[Transfer, ...]:
    """Void every reservation and post what was delivered, less penalties."""
    voided = tuple(
        each.model_copy(update={"id": f"{each.id}:void", "stage": "voided", "amount_eur": -each.amount_eur, "at": at})
        for each in pending
    )
    posted = tuple(
        _transfer(auction, each.participant, each.net_eur, stage="posted", memo="settlement", at=at) for each in settled
    )
    return (*voided, *posted)


def balances(transfers: Iterable[Transfer]) -> dict[str, Decimal]:
    """Balance of every account over all given transfers [EUR], in the order of names; together they are zero."""
    balance: dict[str, Decimal] = defaultdict(Decimal)
    for each in transfers:
        balance[each.debit] -= each.amount_eur
        balance[each.credit] += each.amount_eur
    return dict(sorted(balance.items()))


def _transfer(auction: Auction, participant: str, amount: Decimal, *, stage: str, memo: str, at: datetime) -> Transfer:
    return Transfer.model_validate(
        {
            "id": f"{auction.id}:{stage}:{participant}",
            "auction": auction.id,
            "stage": stage,
            "debit": f"dso:{auction.dso}",
            "credit": f"participant:{participant}",
            "amount_eur": amount,
            "memo": memo,
            "at": at,
        }
    )
