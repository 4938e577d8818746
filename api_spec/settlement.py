"""What was delivered and what is paid for it; entries of the double-entry ledger."""

from typing import Literal

from api_spec.ids import AuctionId, BusId, Identifier, OrganisationId
from api_spec.period import Instant
from api_spec.units import Count, EurPerMwh, Message, Money, Watts


class SettlementLine(Message):
    """One participant, bus and period under the UFTP settlement rule (consumption positive, all in W).

    ordered_w is the awarded change, delivered_w the part of it that was delivered (same sign, never more than ordered),
    deficiency_w what is missing of it at the meter (not negative). net_eur = payment_eur - penalty_eur.
    """

    bus: BusId
    start: Instant
    baseline_w: Watts
    ordered_w: Watts
    metered_w: Watts
    delivered_w: Watts
    deficiency_w: Watts
    price_eur_per_mwh: EurPerMwh
    penalty_eur_per_mwh: EurPerMwh
    payment_eur: Money
    penalty_eur: Money
    net_eur: Money


class Statement(Message):
    """A participant's settled account of one auction; its amounts are the sums of its lines, each rounded once."""

    auction: AuctionId
    participant: OrganisationId
    version: Count
    rules: Literal["uftp-3"] = "uftp-3"
    settled_at: Instant
    lines: tuple[SettlementLine, ...]
    payment_eur: Money
    penalty_eur: Money
    net_eur: Money


class Transfer(Message):
    """An immutable ledger entry: amount_eur moves from the debited to the credited account.

    Pending transfers reserve what an award would earn; settlement voids them and posts what was delivered.
    """

    id: Identifier
    auction: AuctionId
    stage: Literal["pending", "voided", "posted"]
    debit: Identifier
    credit: Identifier
    amount_eur: Money
    memo: str
    at: Instant
