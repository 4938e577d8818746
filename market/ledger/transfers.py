"""The double-entry ledger of an auction: pending reservations at publication, posted payments at settlement.

Each transfer moves an amount from one account to another, so that the ledger sums to zero after every one of them. A
payment the other way has the accounts exchanged: no amount is negative.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from api_spec.auction import Auction
from api_spec.award import Award
from api_spec.settlement import Transfer
from market.ledger.settlement import Settlement

AWARDED: Final = "award"
"""Memo of what is reserved for awards."""


def pending_transfers(auction: Auction, awards: Iterable[Award], *, at: datetime) -> tuple[Transfer, ...]:
    """Reserve what each participant's awards earn when all of them are delivered."""
    due: dict[str, Decimal] = defaultdict(Decimal)
    for award in awards:
        due[award.participant] += award.payment_eur + award.uplift_eur
    return tuple(
        transfer_to(
            auction, f"participant:{participant}", amount, stage="pending", name=participant, memo=AWARDED, at=at
        )
        for participant, amount in sorted(due.items())
    )


def voiding_transfers(pending: Iterable[Transfer], *, at: datetime) -> tuple[Transfer, ...]:
    """Give back what was reserved for awards."""
    return tuple(
        each.model_copy(
            update={"id": f"{each.id}:void", "stage": "voided", "debit": each.credit, "credit": each.debit, "at": at}
        )
        for each in pending
        if each.stage == "pending" and each.memo == AWARDED
    )


def posting_transfers(
    auction: Auction, before: Settlement | None, after: Settlement, *, at: datetime
) -> tuple[Transfer, ...]:
    """Post the difference between two settlements; `before` is None the first time.

    The DSO pays the exact sum rounded once. Participants get their own rounded amounts, and `rounding:<auction>` what
    lies between. Sums of these transfers over any chain of settlements are what the last of them says.
    """
    version, memo = after.dso.version, "settlement" if before is None else "correction"
    stood, stands = _due(before), _due(after)
    changes = {account: amount - stood.get(account, Decimal(0)) for account, amount in stands.items()}
    return tuple(
        transfer_to(auction, account, amount, stage="posted", name=f"{account}:{version}", memo=memo, at=at)
        for account, amount in changes.items()
        if amount
    )


def balances(transfers: Iterable[Transfer]) -> dict[str, Decimal]:
    """Balance of every account over all given transfers [EUR], in the order of names; together they are zero."""
    balance: dict[str, Decimal] = defaultdict(Decimal)
    for each in transfers:
        balance[each.debit] -= each.amount_eur
        balance[each.credit] += each.amount_eur
    return dict(sorted(balance.items()))


def _due(settlement: Settlement | None) -> dict[str, Decimal]:
    """What each account but the DSO's is to have received."""
    if settlement is None:
        return {}
    due = {f"participant:{each.participant}": each.net_eur for each in settlement.statements}
    return due | {f"rounding:{settlement.dso.auction}": settlement.dso.rounding_eur}


def transfer_to(
    auction: Auction,
    account: str,
    amount: Decimal,
    *,
    stage: Literal["pending", "voided", "posted"],
    name: str,
    memo: str,
    at: datetime,
) -> Transfer:
    """A payment from the DSO to an account, or back where the amount is negative."""
    dso = f"dso:{auction.dso}"
    debit, credit = (dso, account) if amount >= 0 else (account, dso)
    return Transfer(
        id=f"{auction.id}:{stage}:{name}",
        auction=auction.id,
        stage=stage,
        debit=debit,
        credit=credit,
        amount_eur=abs(amount),
        memo=memo,
        at=at,
    )
