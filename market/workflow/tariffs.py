"""Tariffs: registered by a DSO, asked for by agents, and billed from what was metered."""

from datetime import datetime

from api_spec.calendar import Span
from api_spec.defects import Defect, unknown
from api_spec.ids import BusId
from api_spec.organisation import Organisation
from api_spec.period import MarketPeriod
from api_spec.tariffs import (
    AnnouncedWindow,
    Bill,
    BillTerms,
    CriticalComponent,
    CriticalWindow,
    Tariff,
    TariffPrices,
    TariffTerms,
)
from market.errors import AlreadyExists, NotAdmitted, NotFound, PeriodNotOver, ReadingsMissing
from market.exact import hours
from market.ids import NewId, random_id
from market.instruments.billing import Use, bill_lines, span_defects, total_eur
from market.instruments.metered import gaps, series_of
from market.instruments.pricing import tariff_prices
from market.store import UnitOfWork


def register_tariff(
    terms: TariffTerms, *, dso: str, now: datetime, work: UnitOfWork, new_id: NewId = random_id
) -> Tariff:
    """Register a tariff of one of the DSO's own networks."""
    _, owner = work.participants.network(terms.network)
    if owner != dso:
        raise NotFound("network", terms.network)
    fields = {name: getattr(terms, name) for name in TariffTerms.model_fields}
    tariff = Tariff(id=new_id("tar", dso), dso=dso, registered_at=now, **fields)

    work.tariffs.add(tariff)
    return tariff


def network_tariffs(network: str, *, work: UnitOfWork) -> list[Tariff]:
    """The tariffs of a network; NotFound where there is no such network."""
    work.participants.network(network)
    return work.tariffs.of_network(network)


def announce_window(
    tariff: str, window: CriticalWindow, *, dso: str, now: datetime, work: UnitOfWork
) -> AnnouncedWindow:
    """Announce a critical window of one's own tariff, as long before as the tariff promises; windows do not overlap."""
    found = _own(tariff, dso, work)
    notices = [each.notice for each in found.components if isinstance(each, CriticalComponent)]
    defects = []
    if not notices:
        defects.append(Defect("", "the tariff has no component with critical windows"))
    elif window.start < now + max(notices):
        defects.append(Defect("/start", f"must be announced {max(notices)} before"))
    if any(each.start < window.end and window.start < each.end for each in work.tariffs.announced(tariff)):
        defects.append(Defect("/start", "overlaps a window that was announced before"))
    if defects:
        raise NotAdmitted(tuple(defects))
    announced = AnnouncedWindow(start=window.start, end=window.end, tariff=tariff, announced_at=now)

    work.tariffs.announce(announced)
    return announced


def prices(tariff: str, period: MarketPeriod, bus: BusId | None, *, work: UnitOfWork) -> TariffPrices:
    """What consuming more costs in each period, as far as it is known by now."""
    found = work.tariffs.get(tariff)
    if bus is not None:
        _require_bus(found.network, bus, work)
    nodal = work.tariffs.nodal_prices(found.network, bus, start=period.start, end=period.end)
    return tariff_prices(found, period, bus, announced=work.tariffs.announced(tariff), nodal=nodal)


def make_bill(
    tariff: str, terms: BillTerms, *, dso: str, now: datetime, work: UnitOfWork, new_id: NewId = random_id
) -> Bill:
    """Bill a participant's consumption at a bus for a span that is over; ReadingsMissing unless it is provisional.

    Raises AlreadyExists where a final bill covers some of the time already.
    """
    found = _own(tariff, dso, work)
    _require_bus(found.network, terms.bus, work)
    _require_unbilled(tariff, terms, work)
    span, announced = Span(start=terms.start, end=terms.end), work.tariffs.announced(tariff)
    defects = span_defects(found, span, announced)
    if defects:
        raise NotAdmitted(defects)
    if now < terms.end:
        raise PeriodNotOver("what is billed", terms.end)
    series = series_of(work.tariffs.metered(found.network, terms.participant, terms.bus, span), span)
    missing = list(gaps(series, span))
    if missing and not terms.provisional:
        raise ReadingsMissing(terms.participant, terms.bus, missing[0].start)
    nodal = work.tariffs.nodal_prices(found.network, terms.bus, start=terms.start, end=terms.end)

    lines = bill_lines(found, Use(span, series, terms.contracted_power_w, announced, nodal))
    bill = Bill(
        **dict(terms),
        id=new_id("bill", dso),
        tariff=tariff,
        dso=dso,
        billed_at=now,
        metered_minutes=int(sum(hours(each.length) * 60 for each in series)),
        missing_minutes=int(sum(hours(each.end - each.start) * 60 for each in missing)),
        lines=lines,
        total_eur=total_eur(lines),
    )

    work.tariffs.add_bill(bill)
    return bill


def visible_bills(tariff: str, *, who: Organisation, work: UnitOfWork) -> list[Bill]:
    """Bills under a tariff: its DSO's and an operator's all, a participant's own."""
    found = work.tariffs.get(tariff)
    everything = who.role == "operator" or who.id == found.dso
    return work.tariffs.bills(tariff, participant=None if everything else who.id)


def _own(tariff: str, dso: str, work: UnitOfWork) -> Tariff:
    found = work.tariffs.get(tariff, lock=True)
    if found.dso != dso:
        raise NotFound("tariff", tariff)
    return found


def _require_unbilled(tariff: str, terms: BillTerms, work: UnitOfWork) -> None:
    """Raise AlreadyExists where a final bill covers some of the same time: nothing is billed twice."""
    for each in work.tariffs.bills(tariff, participant=terms.participant):
        final = not terms.provisional and not each.provisional and each.bus == terms.bus
        if final and each.start < terms.end and terms.start < each.end:
            raise AlreadyExists("bill", each.id)


def _require_bus(network: str, bus: str, work: UnitOfWork) -> None:
    found, _ = work.participants.network(network)
    if bus not in found.bus_ids:
        where = f'on network "{network}"'
        raise NotAdmitted((Defect("/bus", unknown("bus", bus, found.bus_ids, where)),))
