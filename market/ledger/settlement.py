"""Settlement: a pure function of awards, frozen baselines, meter readings and the product's terms."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final, TypeAlias

from api_spec.auction import Auction
from api_spec.award import Award
from api_spec.settlement import SettlementLine, Statement
from api_spec.units import MONEY_PLACES, PRICE_PLACES
from market.errors import ReadingsMissing
from market.ledger.delivery import deliver

Participant: TypeAlias = str
Place: TypeAlias = tuple[Participant, str]
"""A participant and a bus."""

_PRICE: Final = Decimal(1).scaleb(-PRICE_PLACES)
_MONEY: Final = Decimal(1).scaleb(-MONEY_PLACES)


@dataclass(frozen=True)
class _Order:
    """Awards of one participant at one bus in one period, netted. power_w : change [W]. worth : [EUR/MWh x W]."""

    power_w: int
    worth: Decimal


def statements(
    auction: Auction,
    awards: Iterable[Award],
    baselines: Mapping[Place, tuple[int, ...]],
    readings: Mapping[Place, tuple[int | None, ...]],
    *,
    settled_at: datetime,
    version: int = 1,
) -> tuple[Statement, ...]:
    """One statement for every participant with an award, in the order of their ids.

    baselines, readings : per participant and bus, one value per period [W]; None where nothing was metered. Raises
    ReadingsMissing with the first period of an award that has no reading.
    """
    orders = _orders(awards, auction.delivery.count)
    lines: dict[Participant, list[SettlementLine]] = defaultdict(list)
    for (participant, bus), periods in sorted(orders.items()):
        metered = readings.get((participant, bus), (None,) * auction.delivery.count)
        baseline = baselines[participant, bus]
        for period, order in enumerate(periods):
            if order.power_w == 0 and order.worth == 0:
                continue
            start = auction.delivery.starts()[period]
            reading = metered[period]
            if reading is None:
                raise ReadingsMissing(participant, bus, start)
            lines[participant].append(_line(auction, bus, start, order, baseline[period], reading))
    return tuple(
        _statement(auction, participant, tuple(own), settled_at=settled_at, version=version)
        for participant, own in sorted(lines.items())
    )


def _orders(awards: Iterable[Award], count: int) -> dict[Place, tuple[_Order, ...]]:
    power: dict[Place, list[int]] = defaultdict(lambda: [0] * count)
    worth: dict[Place, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * count)
    for award in awards:
        place = (award.participant, award.bus)
        for period, (w, price) in enumerate(zip(award.power_w, award.price_eur_per_mwh, strict=True)):
            power[place][period] += w
            worth[place][period] += price * abs(w)
    return {
        place: tuple(_Order(w, value) for w, value in zip(powers, worth[place], strict=True))
        for place, powers in power.items()
    }


def _line(
    auction: Auction, bus: str, start: datetime, order: _Order, baseline_w: int, metered_w: int
) -> SettlementLine:
    delivery = deliver(baseline_w=baseline_w, ordered_w=order.power_w, metered_w=metered_w)
    # Offers that cancel out leave nothing to deliver; what they are worth together is then due as it stands.
    share = Fraction(abs(delivery.delivered_w), abs(order.power_w)) if order.power_w else Fraction(1)
    to_mwh = Fraction(auction.delivery.resolution.total_seconds()) / 3600 / 10**6
    payment = _money(Fraction(order.worth) * share * to_mwh)
    penalty = _money(Fraction(auction.product.penalty_eur_per_mwh) * delivery.deficiency_w * to_mwh)
    price = (order.worth / abs(order.power_w)).quantize(_PRICE) if order.power_w else Decimal(0)
    return SettlementLine(
        bus=bus,
        start=start,
        baseline_w=baseline_w,
        ordered_w=order.power_w,
        metered_w=metered_w,
        delivered_w=delivery.delivered_w,
        deficiency_w=delivery.deficiency_w,
        price_eur_per_mwh=price,
        penalty_eur_per_mwh=auction.product.penalty_eur_per_mwh,
        payment_eur=payment,
        penalty_eur=penalty,
        net_eur=payment - penalty,
    )


def _statement(
    auction: Auction, participant: str, lines: tuple[SettlementLine, ...], *, settled_at: datetime, version: int
) -> Statement:
    payment = sum((line.payment_eur for line in lines), Decimal(0))
    penalty = sum((line.penalty_eur for line in lines), Decimal(0))
    return Statement(
        auction=auction.id,
        participant=participant,
        version=version,
        settled_at=settled_at,
        lines=lines,
        payment_eur=payment,
        penalty_eur=penalty,
        net_eur=payment - penalty,
    )


def _money(amount: Fraction) -> Decimal:
    """Rounded half to even to 1e-4 EUR, from the exact value."""
    return Decimal(round(amount * 10**MONEY_PLACES)) * _MONEY
