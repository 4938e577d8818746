"""Offers at what they can be relied on for: power and energy times a score, in whole units towards no change."""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from api_spec.flexibility import BlockOffer, CurveOffer, FlexOffer


def derated(offers: Iterable[FlexOffer], scores: Mapping[tuple[str, str], float]) -> tuple[FlexOffer, ...]:
    """Offers with their active power and energy scaled by the score of who offers where; the price stays.

    scores : in [0, 1] per participant and bus; 1 where there is none. Every kind is scaled alike: the steps of a curve,
    the whole profile of a block with its rebound, an envelope's bounds on power and on running energy. Rounded towards
    0, so that never more is cleared than the score allows and no change is always still allowed. Reactive capability
    is not scaled: scores are of active power.
    """
    return tuple(_scaled(offer, Fraction(scores.get((offer.participant, offer.bus), 1.0))) for offer in offers)


def _scaled(offer: FlexOffer, score: Fraction) -> FlexOffer:
    if score == 1:
        return offer
    if isinstance(offer, CurveOffer):
        steps = tuple(step.model_copy(update={"power_w": _times(step.power_w, score)}) for step in offer.steps)
        return offer.model_copy(update={"steps": steps})
    if isinstance(offer, BlockOffer):
        return offer.model_copy(update={"power_w": _times(offer.power_w, score)})
    bounds = ("power_w_min", "power_w_max", "energy_wh_min", "energy_wh_max")
    return offer.model_copy(update={name: _times(getattr(offer, name), score) for name in bounds})


def _times(values: tuple[int, ...], score: Fraction) -> tuple[int, ...]:
    # Exact: a float product could round a whole number up, and truncation would then be one unit off.
    return tuple(int(each * score) for each in values)
