"""How much a participant's offers at one place could change consumption, one direction at a time (W of |change|)."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Literal, TypeAlias

from api_spec.flexibility import EnvelopeOffer, FlexOffer
from api_spec.units import series

Way: TypeAlias = Literal[-1, 1]
"""-1 reduces consumption, 1 increases it."""
Powers: TypeAlias = tuple[int, ...]


def name_of(way: Way) -> Literal["reduction", "increase"]:
    """The direction as products call it."""
    return "reduction" if way < 0 else "increase"


def most_offered_w(offer: FlexOffer, way: Way, *, cap: Decimal | None = None) -> Powers:
    """The most that an offer changes consumption in each period [W]; of what asks `cap` EUR/MWh or less, if given."""
    if offer.kind == "block":
        return tuple(max(0, way * w) if _within(offer.price_eur_per_mwh, cap) else 0 for w in offer.power_w)
    if offer.kind == "curve":
        count = len(offer.steps[0].power_w)
        steps = [zip(step.power_w, series(step.price_eur_per_mwh, count), strict=True) for step in offer.steps]
        return tuple(
            sum(max(0, way * w) for w, price in each if _within(price, cap)) for each in zip(*steps, strict=True)
        )
    powers = offer.power_w_min if way < 0 else offer.power_w_max
    prices = series(offer.price_eur_per_mwh, len(powers))
    return tuple(abs(w) if _within(price, cap) else 0 for w, price in zip(powers, prices, strict=True))


def together_w(offers: Iterable[FlexOffer], way: Way, *, count: int) -> Powers:
    """The most that several offers of one participant change consumption together, in each period [W].

    Of blocks that exclude one another at most one counts in a period.
    """
    total, groups = [0] * count, dict[str, list[int]]()
    for offer in offers:
        own = most_offered_w(offer, way)
        if offer.kind == "block" and offer.exclusive_group is not None:
            best = groups.setdefault(offer.exclusive_group, [0] * count)
            best[:] = [max(a, b) for a, b in zip(best, own, strict=True)]
        else:
            total = [a + b for a, b in zip(total, own, strict=True)]
    return tuple(map(sum, zip(total, *groups.values(), strict=True)))


def covered_w(offers: Sequence[FlexOffer], needed: Powers, way: Way, *, hours: Fraction, cap: Decimal | None) -> Powers:
    """How much of the needed change these offers of one participant hold ready, in each period [W].

    Only what asks `cap` EUR/MWh or less counts. Of blocks that exclude one another the one with most energy counts: no
    two can be called. Envelopes give what their running energy allows if all that is needed is called, in order.
    """
    firm = [most_offered_w(each, way, cap=cap) for each in _callable_together(offers, way, cap)]
    left = tuple(max(0, need - sum(own)) for need, *own in zip(needed, *firm, strict=True))
    for offer in offers:
        if offer.kind == "envelope" and any(left):
            given = _sustained(offer, left, way, hours=hours, cap=cap)
            left = tuple(need - w for need, w in zip(left, given, strict=True))
    return tuple(need - w for need, w in zip(needed, left, strict=True))


def _within(price: Decimal, cap: Decimal | None) -> bool:
    return cap is None or price <= cap


def _callable_together(offers: Sequence[FlexOffer], way: Way, cap: Decimal | None) -> list[FlexOffer]:
    """All curves, all blocks of no group, and of each group the block with most energy."""
    firm: list[FlexOffer] = []
    best: dict[str, FlexOffer] = {}
    for offer in offers:
        if offer.kind == "block" and offer.exclusive_group is not None:
            before = best.setdefault(offer.exclusive_group, offer)
            if sum(most_offered_w(offer, way, cap=cap)) > sum(most_offered_w(before, way, cap=cap)):
                best[offer.exclusive_group] = offer
        elif offer.kind != "envelope":
            firm.append(offer)
    return [*firm, *best.values()]


def _sustained(offer: EnvelopeOffer, needed: Powers, way: Way, *, hours: Fraction, cap: Decimal | None) -> Powers:
    """What an envelope gives of the needed change, period after period, such that it can go on within its energy [W].

    Where nothing is needed it recovers as far as it may. Everything is turned so that the needed change is positive:
    E(t) = E(t-1) + change(t) x hours, low(t) <= E(t) <= high(t); going backwards first, both are drawn in until the
    rest of the way exists from every E(t) between them.
    """
    given = tuple(map(min, most_offered_w(offer, way, cap=cap), needed))
    back = most_offered_w(offer, -1 if way > 0 else 1)
    back = tuple(0 if need else w for w, need in zip(back, needed, strict=True))
    low = [Fraction(e) for e in (offer.energy_wh_min if way > 0 else (-e for e in offer.energy_wh_max))]
    high = [Fraction(e) for e in (offer.energy_wh_max if way > 0 else (-e for e in offer.energy_wh_min))]
    for t in range(len(needed) - 2, -1, -1):
        low[t] = max(low[t], low[t + 1] - given[t + 1] * hours)
        high[t] = min(high[t], high[t + 1] + back[t + 1] * hours)
    energy, found = Fraction(0), []
    for t, need in enumerate(needed):
        if need:
            room = (high[t] - energy) / hours
            found.append(min(given[t], room.numerator // room.denominator))
            energy += found[-1] * hours
        else:
            found.append(0)
            energy = max(low[t], energy - back[t] * hours)
    return tuple(found)
