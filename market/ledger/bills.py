"""The double-entry ledger of a bill: what its participant owes, to the DSO and to the account of its rounding.

Each transfer moves an amount from one account to another, so that the ledger sums to zero after every one of them. A
payment the other way has the accounts exchanged: no amount is negative.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from api_spec.tariffs import Bill, BillTransfer


def bill_transfers(bill: Bill, posted: Sequence[BillTransfer], *, at: datetime) -> tuple[BillTransfer, ...]:
    """What a version of a bill moves beyond what was posted for those before it; nothing where it is provisional.

    Sums of these transfers over any chain of versions are what the last of them says.
    """
    if bill.provisional:
        return ()
    due = {f"dso:{bill.dso}": bill.total_eur - bill.rounding_eur, f"rounding:{bill.id}": bill.rounding_eur}
    open_eur = {account: amount - _received(account, posted) for account, amount in due.items()}
    return tuple(_transfer(bill, account, amount, at) for account, amount in open_eur.items() if amount)


def _received(account: str, posted: Iterable[BillTransfer]) -> Decimal:
    """Balance of an account [EUR]."""
    signs = ((each.amount_eur, (each.credit == account) - (each.debit == account)) for each in posted)
    return sum((amount * sign for amount, sign in signs), Decimal(0))


def _transfer(bill: Bill, account: str, amount: Decimal, at: datetime) -> BillTransfer:
    """A payment from the participant to an account, or back where the amount is negative."""
    participant = f"participant:{bill.participant}"
    debit, credit = (participant, account) if amount > 0 else (account, participant)
    return BillTransfer(
        id=f"{bill.id}:{account}:{bill.version}",
        bill=bill.id,
        version=bill.version,
        debit=debit,
        credit=credit,
        amount_eur=abs(amount),
        memo="bill" if bill.version == 1 else "correction",
        at=at,
    )
