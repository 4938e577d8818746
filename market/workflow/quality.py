"""Delivery quality, kept at every settlement, and the reliability scores that come of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from api_spec.auction import Auction
from api_spec.flexibility import FlexOffer
from api_spec.organisation import Organisation
from api_spec.quality import BusAttributes, DeliveryQuality, Reliability, ServiceAttributes
from api_spec.settlement import SettlementLine, Statement
from market.ledger.baselines import Metered, by_place
from market.ledger.orders import Place
from market.ledger.quality import Energies, Order, attributes, energies, finest
from market.ledger.reliability import LAST, reliability
from market.orderbook.derating import derated
from market.store import UnitOfWork


def record_quality(
    book: Auction,
    settled: Iterable[Statement],
    baselines: Mapping[Place, tuple[int, ...]],
    *,
    now: datetime,
    work: UnitOfWork,
) -> None:
    """Keep the quality of every settled delivery, as the next version where it was settled before."""
    delivery = book.delivery
    messages = by_place(work.meters.history(book.network, since=delivery.start, until=delivery.end))
    measured = _measured(book.id, work)
    versions = {(each.participant, each.bus): each.version for each in work.deliveries.quality(book.id)}

    for place, lines in _lines(settled).items():
        quality = _quality(
            book, place, lines, baselines[place], messages.get(place, ()), measured.get(place),
            version=versions.get(place, 0) + 1, now=now,
        )  # fmt: skip
        work.deliveries.record(quality, network=book.network, delivered_at=delivery.end)


def visible_quality(auction: str, *, who: Organisation, work: UnitOfWork) -> list[DeliveryQuality]:
    """Quality of the reader's own deliveries in an auction; of all for an operator."""
    work.auctions.get(auction)
    return work.deliveries.quality(auction, participant=None if who.role == "operator" else who.id)


def visible_reliability(*, who: Organisation, work: UnitOfWork) -> list[Reliability]:
    """Scores of the reader's own places with a settled delivery; of all for an operator."""
    found = work.deliveries.last(LAST, before=None, participant=None if who.role == "operator" else who.id)
    return [_reliability(place, deliveries) for place, deliveries in found.items()]


def reliability_of(
    participant: str, bus: str, *, network: str, work: UnitOfWork, before: datetime | None = None
) -> Reliability:
    """The score of one place, as known before a time or now; 1 from no deliveries where it has none."""
    found = work.deliveries.last(LAST, before=before, network=network, participant=participant)
    place = (network, participant, bus)
    return _reliability(place, found.get(place, ()))


def relied_on(book: Auction, offers: Sequence[FlexOffer], work: UnitOfWork) -> Sequence[FlexOffer]:
    """The offers as they enter clearing: at what they can be relied on for, where the product says so.

    By scores as known before the gate closed, so that a clearing that is taken up again has the same input.
    """
    if not book.product.derate_by_reliability or book.closed_at is None:
        return offers
    found = work.deliveries.last(LAST, before=book.closed_at, network=book.network)
    return derated(
        offers, {(who, bus): _reliability((at, who, bus), found[at, who, bus]).score for at, who, bus in found}
    )


def _quality(
    book: Auction,
    place: Place,
    lines: Sequence[SettlementLine],
    baseline_w: tuple[int, ...],
    messages: Iterable[Metered],
    measured: BusAttributes | None,
    *,
    version: int,
    now: datetime,
) -> DeliveryQuality:
    delivery = book.delivery
    ordered, delivered = [0] * delivery.count, [0] * delivery.count
    for line in lines:
        at = delivery.index(line.start)
        ordered[at], delivered[at] = line.ordered_w, line.delivered_w
    energy = energies(ordered, delivered, delivery.resolution)
    history, step = finest(messages, delivery)
    order = Order(delivery.start, delivery.resolution, tuple(ordered), baseline_w)
    return DeliveryQuality(
        auction=book.id,
        participant=place[0],
        bus=place[1],
        version=version,
        recorded_at=now,
        ordered_wh=energy.ordered_wh,
        delivered_wh=energy.delivered_wh,
        accuracy=energy.accuracy,
        resolution=step,
        by_market=attributes(order, history, step),
        by_aggregator=None
        if measured is None
        else ServiceAttributes(**{name: getattr(measured, name) for name in ServiceAttributes.model_fields}),
    )


def _lines(settled: Iterable[Statement]) -> dict[Place, list[SettlementLine]]:
    places: dict[Place, list[SettlementLine]] = {}
    for statement in settled:
        for line in statement.lines:
            places.setdefault((statement.participant, line.bus), []).append(line)
    return places


def _measured(auction: str, work: UnitOfWork) -> dict[Place, BusAttributes]:
    """What aggregators measured themselves: the newest per place."""
    readings = work.orders.readings(auction)
    return {(each.participant, measured.bus): measured for each in readings for measured in each.attributes}


def _reliability(place: tuple[str, str, str], deliveries: Sequence[DeliveryQuality]) -> Reliability:
    network, participant, bus = place
    score = reliability([Energies(each.ordered_wh, each.delivered_wh) for each in deliveries])
    return Reliability(network=network, participant=participant, bus=bus, score=score, deliveries=len(deliveries))
