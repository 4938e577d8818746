"""Continuous trading: what is left of a book once some of it has been matched.

A match is a clearing of what is left. What was awarded before has become part of the baseline; offers have less to
give; requests for a change ask for less. So no watt is sold twice, and every match is priced on its own.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import TypeAlias, TypeVar

from api_spec.auction import Auction
from api_spec.award import Award
from api_spec.case import Case, Injection
from api_spec.defects import Defect
from api_spec.flexibility import (
    BlockOffer,
    CurveOffer,
    CurveStep,
    EnvelopeOffer,
    FlexOffer,
    FlexRequest,
    PowerRequest,
)
from api_spec.units import series
from market.errors import NotAdmitted

Powers: TypeAlias = tuple[int, ...]
_K = TypeVar("_K")


def remaining(case: Case, awards: Iterable[Award]) -> Case:
    """The case of a whole book less what was awarded of it, which has become part of its baseline."""
    awards = tuple(awards)
    count = case.market_period.count
    by_offer = _sums(((each.offer, each.power_w) for each in awards), count)
    by_place = _sums((((each.bus, each.phase), each.power_w) for each in awards), count)
    by_bus = _sums(((each.bus, each.power_w) for each in awards), count)
    hours = Fraction(case.market_period.resolution.total_seconds()) / 3600
    matched = tuple(
        Injection(bus=bus, phase=phase, p_w=tuple(map(float, power_w)), q_var=(0.0,) * count)
        for (bus, phase), power_w in by_place.items()
    )
    taken = {
        offer.exclusive_group for offer in case.offers if isinstance(offer, BlockOffer) and offer.id in by_offer
    } - {None}
    offers = [
        left_of(offer, by_offer.get(offer.id, (0,) * count), hours=hours)
        for offer in case.offers
        if not (isinstance(offer, BlockOffer) and offer.exclusive_group in taken)
    ]
    return case.model_copy(
        update={
            "baseline": (*case.baseline, *matched),
            "requests": tuple(_still_asked(each, by_bus, count) for each in case.requests),
            "offers": tuple(each for each in offers if each is not None),
        }
    )


def left_of(offer: FlexOffer, awarded_w: Powers, *, hours: Fraction) -> FlexOffer | None:
    """What is left of an offer of which `awarded_w` was accepted per period [W]; None where nothing is.

    A curve gives its cheapest steps first. An envelope keeps what its power and running energy still allow. A block is
    taken once, whatever part of it: the rest is no longer offered. What replaces an offer counts in total, so what was
    awarded of it before is taken off it as well.
    """
    if not any(awarded_w):
        return offer
    if isinstance(offer, BlockOffer):
        return None
    if isinstance(offer, CurveOffer):
        return _left_of_curve(offer, awarded_w)
    return _left_of_envelope(offer, awarded_w, hours)


def admit_continuous(order: FlexOffer | FlexRequest, auction: Auction) -> None:
    """Raise NotAdmitted where an order is none that can be matched bit by bit."""
    if auction.product.trading != "continuous":
        return
    found = []
    if isinstance(order, CurveOffer | BlockOffer | EnvelopeOffer):
        found += [
            Defect(f"/{name}", "only active power is traded continuously")
            for name in ("q_var_min", "q_var_max")
            if getattr(order, name) is not None
        ]
    else:
        if order.kind != "losses" and order.max_price_eur_per_mwh is None:
            # A limit at any price would stop all trading until enough is offered.
            found.append(
                Defect("/max_price_eur_per_mwh", "a request that is matched continuously names the most it pays")
            )
        if isinstance(order, PowerRequest) and order.buses == "source":
            found.append(Defect("/buses", "what is bought continuously is counted at buses, not at the source"))
    if found:
        raise NotAdmitted(tuple(found))


def require_untaken(offer: FlexOffer, own: Iterable[Award]) -> None:
    """Raise NotAdmitted where a block that was taken would be replaced or withdrawn: it shuts out its group."""
    if isinstance(offer, BlockOffer) and any(each.offer == offer.id for each in own):
        raise NotAdmitted((Defect("", "the block has been taken: it can neither be replaced nor withdrawn"),))


def require_baseline_unsold(own: Sequence[Award]) -> None:
    """Raise NotAdmitted where a participant would change the baseline that its own awards are measured against."""
    if own:
        raise NotAdmitted(
            (Defect("", "some of it is sold already: what is awarded is measured against this baseline"),)
        )


def _sums(parts: Iterable[tuple[_K, Powers]], count: int) -> dict[_K, Powers]:
    total: dict[_K, list[int]] = defaultdict(lambda: [0] * count)
    for key, power_w in parts:
        total[key] = [a + b for a, b in zip(total[key], power_w, strict=True)]
    return {key: tuple(each) for key, each in total.items()}


def _left_of_curve(offer: CurveOffer, awarded_w: Powers) -> CurveOffer | None:
    count = len(awarded_w)
    left = [list(step.power_w) for step in offer.steps]
    prices = [series(step.price_eur_per_mwh, count) for step in offer.steps]
    for t, awarded in enumerate(awarded_w):
        rest, way = abs(awarded), -1 if awarded < 0 else 1
        cheapest_first = sorted((price[t], number) for number, price in enumerate(prices))
        for _, number in cheapest_first:
            taken = min(rest, max(0, way * left[number][t]))
            left[number][t] -= way * taken
            rest -= taken
    steps = tuple(
        CurveStep(power_w=tuple(power_w), price_eur_per_mwh=step.price_eur_per_mwh)
        for power_w, step in zip(left, offer.steps, strict=True)
        if any(power_w)
    )
    return offer.model_copy(update={"steps": steps}) if steps else None


def _left_of_envelope(offer: EnvelopeOffer, awarded_w: Powers, hours: Fraction) -> EnvelopeOffer | None:
    energy, low, high = Fraction(0), [], []
    for w, least, most in zip(awarded_w, offer.energy_wh_min, offer.energy_wh_max, strict=True):
        energy += w * hours
        low.append(min(0, ceil(least - energy)))
        high.append(max(0, floor(most - energy)))
    power_min = tuple(min(0, least - w) for least, w in zip(offer.power_w_min, awarded_w, strict=True))
    power_max = tuple(max(0, most - w) for most, w in zip(offer.power_w_max, awarded_w, strict=True))
    if not any(power_min) and not any(power_max):
        return None
    bounds = {
        "power_w_min": power_min,
        "power_w_max": power_max,
        "energy_wh_min": tuple(low),
        "energy_wh_max": tuple(high),
    }
    return offer.model_copy(update=bounds)


def _still_asked(request: FlexRequest, by_bus: Mapping[str, Powers], count: int) -> FlexRequest:
    """A request for a change of power less what has been bought at its buses; all others are limits, and stand."""
    if not isinstance(request, PowerRequest) or request.buses == "source":
        return request
    nothing = (0,) * count
    bought = map(sum, zip(nothing, *(by_bus.get(bus, nothing) for bus in set(request.buses)), strict=True))
    asked = series(request.power_w, count)
    left = tuple(min(0, w - done) if w < 0 else max(0, w - done) for w, done in zip(asked, bought, strict=True))
    return request.model_copy(update={"power_w": left})
