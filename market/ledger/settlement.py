"""Settlement: a pure function of awards, baselines, meter readings, decisions of disputes, and the product's terms.

The first settlement and every correction compute the same function from scratch; a correction keeps the statements that
come out as they were. What moves money is the difference between two settlements (`transfers.py`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

from api_spec.auction import Auction
from api_spec.award import Award
from api_spec.dispute import Acceptance, Dispute
from api_spec.product import MissingReadings
from api_spec.settlement import Basis, DsoStatement, ParticipantTotal, Rules, SettlementLine, Statement
from api_spec.units import MONEY_PLACES, PRICE_PLACES
from market.errors import ReadingsMissing
from market.ledger.delivery import deliver
from market.ledger.orders import Order, Participant, Place, mwh_per_w, orders_of
from market.ledger.rules import PAYMENT_FACTOR, rules_of

_PRICE: Final = Decimal(1).scaleb(-PRICE_PLACES)
_MONEY: Final = Decimal(1).scaleb(-MONEY_PLACES)
_NOTHING: Final = Decimal(0).quantize(_MONEY)
_SHOWN_PLACES: Final = 6
AMOUNTS: Final = ("payment_eur", "uplift_eur", "penalty_eur", "adjustment_eur", "net_eur")
"""Amounts that lines, statements and the DSO's statement have alike."""


@dataclass(frozen=True)
class Inputs:
    """Everything that is settled from.

    baselines, readings : per participant and bus, one value per period [W]; None where nothing was metered. late :
    numbers of the periods whose reading came after `readings_due`. disputes : the accepted ones, in the order of their
    decisions. missing : what counts where nothing was metered. baseline_versions, readings_versions : per participant.
    """

    awards: tuple[Award, ...]
    baselines: Mapping[Place, tuple[int, ...]]
    readings: Mapping[Place, tuple[int | None, ...]]
    late: Mapping[Place, frozenset[int]] = field(default_factory=dict)
    disputes: tuple[Dispute, ...] = ()
    missing: MissingReadings = "wait"
    baseline_versions: Mapping[Participant, int] = field(default_factory=dict)
    readings_versions: Mapping[Participant, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Settlement:
    """The newest statement of every participant with an award, in the order of their ids, and the DSO's."""

    statements: tuple[Statement, ...]
    dso: DsoStatement


def settle(auction: Auction, inputs: Inputs, *, at: datetime) -> Settlement:
    """The first settlement of an auction. Raises ReadingsMissing where `missing` is "wait" and a reading is missing."""
    rules = rules_of(auction.product)
    lines = list(_lines(auction, inputs, rules))
    statements = _statements(auction, inputs, lines, rules=rules, at=at)
    return Settlement(statements, _dso_statement(auction, statements, lines, rules=rules, version=1, at=at))


def correct(auction: Auction, inputs: Inputs, before: Settlement, *, at: datetime) -> Settlement:
    """The settlement that follows another one, by its rules; statements whose lines stay the same stay as they are."""
    rules = before.dso.rules
    lines = list(_lines(auction, inputs, rules))
    stood = {each.participant: each for each in before.statements}
    statements = tuple(
        _next_version(stood[each.participant], each) for each in _statements(auction, inputs, lines, rules=rules, at=at)
    )
    version = before.dso.version + 1
    return Settlement(statements, _dso_statement(auction, statements, lines, rules=rules, version=version, at=at))


def missing_reading(auction: Auction, inputs: Inputs) -> ReadingsMissing | None:
    """The first period of an award that has neither a reading nor a decision, if there is one."""
    decided = _decided(inputs.disputes)
    for place, period, _ in _ordered(auction, inputs):
        start = auction.delivery.starts()[period]
        if _reading(inputs, place, period) is None and (*place, start) not in decided:
            return ReadingsMissing(*place, start)
    return None


@dataclass(frozen=True)
class _Settled:
    """A line and the participant it belongs to. exact_eur : what its rounded net amount stands for."""

    participant: Participant
    line: SettlementLine
    exact_eur: Fraction


def _lines(auction: Auction, inputs: Inputs, rules: Rules) -> Iterator[_Settled]:
    missing = missing_reading(auction, inputs)
    if missing is not None and inputs.missing == "wait":
        raise missing
    decided, adjusted = _decided(inputs.disputes), _adjusted(inputs.disputes)
    starts = auction.delivery.starts()
    for place, period, order in _ordered(auction, inputs):
        line = (*place, starts[period])
        counted = _counted(inputs, place, period, decided.get(line))
        baseline_w = inputs.baselines[place][period]
        yield _line(auction, line, order, baseline_w, counted, adjusted.get(line, _NOTHING), rules=rules)


def _ordered(auction: Auction, inputs: Inputs) -> Iterator[tuple[Place, int, Order]]:
    for place, orders in orders_of(inputs.awards, auction.delivery).items():
        for period, order in enumerate(orders):
            if not order.empty:
                yield place, period, order


def _counted(inputs: Inputs, place: Place, period: int, decided_w: int | None) -> tuple[int, Basis]:
    """What counts as metered, and why."""
    if decided_w is not None:
        return decided_w, "decided"
    metered_w = _reading(inputs, place, period)
    if metered_w is None:
        assert inputs.missing != "wait"
        return inputs.baselines[place][period], inputs.missing
    return metered_w, "late" if period in inputs.late.get(place, ()) else "metered"


def _reading(inputs: Inputs, place: Place, period: int) -> int | None:
    own = inputs.readings.get(place)
    return None if own is None else own[period]


_LineId = tuple[Participant, str, datetime]


def _decided(disputes: Iterable[Dispute]) -> dict[_LineId, int]:
    """What decisions put in the place of readings [W]; the newest decision of a line counts."""
    return {
        (dispute.participant, each.bus, each.start): each.metered_w
        for dispute, decision in _accepted(disputes)
        for each in decision.metered
    }


def _adjusted(disputes: Iterable[Dispute]) -> dict[_LineId, Decimal]:
    """What decisions pay on top of lines; they add up."""
    sums: dict[_LineId, Decimal] = {}
    for dispute, decision in _accepted(disputes):
        for each in decision.adjustments:
            line = (dispute.participant, each.bus, each.start)
            sums[line] = sums.get(line, _NOTHING) + each.amount_eur
    return sums


def _accepted(disputes: Iterable[Dispute]) -> Iterator[tuple[Dispute, Acceptance]]:
    return ((each, each.decision) for each in disputes if isinstance(each.decision, Acceptance))


def _line(
    auction: Auction,
    line: _LineId,
    order: Order,
    baseline_w: int,
    counted: tuple[int, Basis],
    adjustment: Decimal,
    *,
    rules: Rules,
) -> _Settled:
    (participant, bus, start), (metered_w, basis) = line, counted
    delivery = deliver(baseline_w=baseline_w, ordered_w=order.power_w, metered_w=metered_w)
    # Offers that cancel out leave nothing to deliver; what they are worth together is then due as it stands.
    share = Fraction(abs(delivery.delivered_w), abs(order.power_w)) if order.power_w else Fraction(1)
    factor = PAYMENT_FACTOR[rules](share, auction.product)
    to_mwh = mwh_per_w(auction.delivery)
    # "baseline" is the product's word that a missing reading costs no penalty.
    penalty_price = Decimal(0) if basis == "baseline" else auction.product.penalty_eur_per_mwh
    payment, uplift = order.worth_eur * share * factor, order.uplift_eur * share * factor
    penalty = Fraction(penalty_price) * delivery.deficiency_w * to_mwh
    rounded = {name: _money(each) for name, each in (("payment", payment), ("uplift", uplift), ("penalty", penalty))}
    price = order.worth_eur / (abs(order.power_w) * to_mwh) if order.power_w else Fraction(0)
    settled = SettlementLine(
        bus=bus,
        start=start,
        baseline_w=baseline_w,
        ordered_w=order.power_w,
        metered_w=metered_w,
        basis=basis,
        delivered_w=delivery.delivered_w,
        deficiency_w=delivery.deficiency_w,
        price_eur_per_mwh=Decimal(round(price * 10**PRICE_PLACES)) * _PRICE,
        penalty_eur_per_mwh=penalty_price,
        payment_factor=round(float(factor), _SHOWN_PLACES),
        payment_eur=rounded["payment"],
        uplift_eur=rounded["uplift"],
        penalty_eur=rounded["penalty"],
        adjustment_eur=adjustment,
        net_eur=rounded["payment"] + rounded["uplift"] - rounded["penalty"] + adjustment,
    )
    return _Settled(participant, settled, payment + uplift - penalty + Fraction(adjustment))


def _statements(
    auction: Auction, inputs: Inputs, settled: Iterable[_Settled], *, rules: Rules, at: datetime
) -> tuple[Statement, ...]:
    lines: dict[Participant, list[SettlementLine]] = {}
    for each in settled:
        lines.setdefault(each.participant, []).append(each.line)
    return tuple(
        Statement(
            auction=auction.id,
            participant=participant,
            version=1,
            rules=rules,
            baseline_version=inputs.baseline_versions.get(participant),
            readings_version=inputs.readings_versions.get(participant, 0),
            decisions=tuple(each.id for each in inputs.disputes if each.participant == participant),
            settled_at=at,
            lines=tuple(own),
            **_sums(own),
        )
        for participant, own in sorted(lines.items())
    )


def _next_version(before: Statement, now: Statement) -> Statement:
    if now.lines == before.lines:
        return before
    return now.model_copy(update={"version": before.version + 1})


def _dso_statement(
    auction: Auction,
    statements: tuple[Statement, ...],
    settled: Iterable[_Settled],
    *,
    rules: Rules,
    version: int,
    at: datetime,
) -> DsoStatement:
    totals = tuple(
        ParticipantTotal(
            participant=each.participant, version=each.version, **{name: getattr(each, name) for name in AMOUNTS}
        )
        for each in statements
    )
    sums, exact = _sums(totals), _money(sum((each.exact_eur for each in settled), Fraction(0)))
    return DsoStatement(
        auction=auction.id,
        dso=auction.dso,
        version=version,
        rules=rules,
        settled_at=at,
        participants=totals,
        rounding_eur=exact - sums["net_eur"],
        **sums | {"net_eur": exact},
    )


def _sums(parts: Iterable[SettlementLine | ParticipantTotal]) -> dict[str, Decimal]:
    rows = list(parts)
    return {name: sum((getattr(each, name) for each in rows), _NOTHING) for name in AMOUNTS}


def _money(amount: Fraction) -> Decimal:
    """Rounded half to even to 1e-4 EUR, from the exact value."""
    return Decimal(round(amount * 10**MONEY_PLACES)) * _MONEY
