"""Bills: a pure function of tariff, metered series, contracted power and calendar.

Every line belongs to one component and one local month (or critical window) and is rounded once. So bills of spans that
meet at a month's border add up, to the last ten-thousandth, to the bill of the whole.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

from api_spec.calendar import Span, holds, local_day, month_of, months
from api_spec.defects import Defect
from api_spec.tariffs import (
    AnnouncedWindow,
    AnyComponent,
    BillLine,
    CapacityComponent,
    ConnectionComponent,
    CriticalComponent,
    DlmpComponent,
    EnergyComponent,
    TariffTerms,
)
from market.exact import in_money, part, years
from market.instruments.metered import Metered, interval_means_w
from market.instruments.pricing import NodalPrice, energy_price

Priced: TypeAlias = tuple[str, Fraction, Fraction]
"""What it is, how much [MWh], and what it costs exactly [EUR]."""


@dataclass(frozen=True)
class Charge:
    """A line of a bill. exact_eur : what its rounded amount stands for."""

    line: BillLine
    exact_eur: Fraction


@dataclass(frozen=True)
class Use:
    """What a bill is about: the metered series in its span, contracted power [W], announced windows, nodal prices."""

    span: Span
    series: Sequence[Metered]
    contracted_w: int
    announced: Sequence[AnnouncedWindow]
    nodal: NodalPrice


def span_defects(tariff: TariffTerms, span: Span, announced: Sequence[AnnouncedWindow]) -> tuple[Defect, ...]:
    """Why a span cannot be billed: outside the tariff's validity, part of a month where peaks count, a cut window."""
    found = []
    if span.start < tariff.valid_from:
        found.append(Defect("/start", "is before the tariff is valid"))
    if tariff.valid_until is not None and span.end > tariff.valid_until:
        found.append(Defect("/end", "is after the tariff is valid"))
    if any(each.kind == "capacity" for each in tariff.components):
        whole = "must be the border of a local month: the tariff bills peaks by whole months"
        found += [
            Defect(place, whole)
            for place, at in (("/start", span.start), ("/end", span.end))
            if month_of(at, tariff.zone).start != at
        ]
    for window in announced if any(each.kind == "critical_capacity" for each in tariff.components) else ():
        if window.start < span.start < window.end:
            found.append(Defect("/start", "is within a critical window"))
        if window.start < span.end < window.end:
            found.append(Defect("/end", "is within a critical window"))
    return tuple(found)


def charges(tariff: TariffTerms, use: Use) -> tuple[Charge, ...]:
    """What a bill is made of, component by component, each month by month."""
    return tuple(each for component in tariff.components for each in _charges(component, tariff, use))


def total_eur(charged: Iterable[Charge]) -> Decimal:
    """What the participant pays: the sum of a bill's lines."""
    return sum((each.line.amount_eur for each in charged), in_money(Fraction(0)))


def received_eur(charged: Iterable[Charge]) -> Decimal:
    """What the DSO receives: the exact sum, rounded once."""
    return in_money(sum((each.exact_eur for each in charged), Fraction(0)))


def _charges(component: AnyComponent, tariff: TariffTerms, use: Use) -> Iterator[Charge]:
    if isinstance(component, CriticalComponent):
        yield from _critical(component, use)
        return
    for month in months(use.span, tariff.zone):
        own = [each for each in use.series if month.start <= each.start < month.end]
        if isinstance(component, CapacityComponent):
            yield _capacity(component, tariff, month, own)
        elif isinstance(component, ConnectionComponent):
            yield from _connection(component, tariff, month, use.contracted_w)
        else:
            yield from _energy(component, tariff, month, own, use.nodal)


def _energy(
    component: EnergyComponent | DlmpComponent,
    tariff: TariffTerms,
    month: Span,
    series: Sequence[Metered],
    nodal: NodalPrice,
) -> Iterator[Charge]:
    """Sum of consumption x price, one line for each price of an energy component, or part of a nodal one."""
    energy: dict[str, Fraction] = defaultdict(Fraction)
    cost: dict[str, Fraction] = defaultdict(Fraction)
    priced: Callable[[Metered], Iterator[Priced]] = (
        (lambda each: _banded(component, tariff, each))
        if isinstance(component, EnergyComponent)
        else (lambda each: _nodal(component, each, nodal))
    )
    for detail, mwh, eur in (each for reading in series for each in priced(reading) if each[1]):
        energy[detail] += mwh
        cost[detail] += eur
    for detail in sorted(energy):
        yield _charge(component.name, detail, month, energy[detail], "MWh", cost[detail])


def _banded(component: EnergyComponent, tariff: TariffTerms, reading: Metered) -> Iterator[Priced]:
    price = energy_price(component, reading.start, tariff.zone)
    yield f"{price.normalize():f} EUR/MWh", reading.consumed_mwh, reading.consumed_mwh * Fraction(price)


def _nodal(component: DlmpComponent, reading: Metered, nodal: NodalPrice) -> Iterator[Priced]:
    """The hedged power at its fixed price, the rest at the nodal price, or the fallback."""
    energy = reading.consumed_mwh
    if component.hedge is not None and reading.consumed_w:
        hedged = energy * Fraction(min(reading.consumed_w, component.hedge.power_w), reading.consumed_w)
        yield "hedged", hedged, hedged * Fraction(component.hedge.price_eur_per_mwh)
        energy -= hedged
    price = nodal(reading.start, component.parts)
    if price is None:
        yield "without a published auction", energy, energy * Fraction(component.fallback_eur_per_mwh)
    else:
        yield "nodal prices", energy, energy * Fraction(price)


def _capacity(component: CapacityComponent, tariff: TariffTerms, month: Span, series: Sequence[Metered]) -> Charge:
    """Price x mean of the greatest interval means of a month [kW]."""
    means = [
        (mean, start)
        for start, mean in interval_means_w(series, month, component.interval).items()
        if holds(component.windows, start, tariff.zone)
    ]
    if component.one_per_day:
        of_day: dict[object, tuple[Fraction, datetime]] = {}
        for mean, start in means:
            day = local_day(start, tariff.zone)
            of_day[day] = max(of_day.get(day, (mean, start)), (mean, start))
        means = list(of_day.values())
    highest = sorted((mean for mean, _ in means), reverse=True)[: component.highest]
    peak_kw = sum(highest, Fraction(0)) / max(1, len(highest)) / 1000
    price = component.price_eur_per_kw_month
    detail = f"peak, {price.normalize():f} EUR/kW and month"
    return _charge(component.name, detail, month, peak_kw, "kW", peak_kw * Fraction(price))


def _connection(
    component: ConnectionComponent, tariff: TariffTerms, month: Span, contracted_w: int
) -> Iterator[Charge]:
    """Contracted kW x part of the year x price, and part of the month x standing charge."""
    kw_years = Fraction(contracted_w, 1000) * years(month, tariff.zone)
    price, standing = Fraction(component.price_eur_per_kw_year), Fraction(component.standing_eur_per_month)
    of_month = part(month.start, month.end, month_of(month.start, tariff.zone))
    if price:
        yield _charge(component.name, "contracted power", month, kw_years, "kW year", kw_years * price)
    if standing:
        yield _charge(component.name, "standing charge", month, of_month, "month", of_month * standing)


def _critical(component: CriticalComponent, use: Use) -> Iterator[Charge]:
    """Price x highest interval mean of each critical window [kW]."""
    for window in use.announced:
        if use.span.start <= window.start and window.end <= use.span.end:
            means = interval_means_w(use.series, window, component.interval)
            peak_kw = max(means.values(), default=Fraction(0)) / 1000
            cost = peak_kw * Fraction(component.price_eur_per_kw)
            yield _charge(component.name, "critical window", window, peak_kw, "kW", cost)


def _charge(name: str, detail: str, span: Span, quantity: Fraction, unit: str, cost: Fraction) -> Charge:
    line = BillLine.model_validate(
        {
            "component": name,
            "detail": detail,
            "start": span.start,
            "end": span.end,
            "quantity": float(quantity),
            "unit": unit,
            "amount_eur": in_money(cost),
        }
    )
    return Charge(line, cost)
