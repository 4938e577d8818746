"""Why an offer was not accepted, or not all of it: the price at its place, what would have cleared, what binds."""

from decimal import Decimal
from typing import Final, Literal, TypeAlias

import numpy as np

from api_spec.award import Reason
from api_spec.flexibility import BlockOffer, CurveOffer, FlexOffer
from market.clearing.awards import Awards
from market.clearing.linearisation import Linearisation
from market.clearing.prices import NodalPrices, micro
from market.clearing.problem import ClearingProblem
from market.clearing.terms import lowest_ask, offered_range_w
from market.network.model import FloatArray, IntArray

_MOST_LIMITS: Final = 5
ByteArray: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
Code: TypeAlias = Literal["not_needed", "too_expensive", "partly_needed", "block_rule", "paradoxically_rejected"]


class Reasons:
    """Explains the outcome of every offer of one clearing. What offers at one place share is worked out once."""

    def __init__(self, problem: ClearingProblem, prices: NodalPrices, point: Linearisation, shadow: FloatArray) -> None:
        """Shadow : (period, limit) what one relative unit of a limit saves [EUR/h]."""
        self._problem, self._shadow = problem, shadow
        self._rows = point.rows(shadow > 0)
        price, parts = prices.at_places(problem)
        self._price = np.rint(price / parts).astype(np.intp)
        self._prices: dict[int, tuple[Decimal, ...]] = {}
        self._less, self._more = _ways(problem)
        self._worth: dict[tuple[int, bytes], tuple[tuple[Decimal, ...], int, str]] = {}
        self._binding: dict[tuple[int, int], tuple[str, ...]] = {}
        self._starts = problem.case.market_period.starts()

    def of(self, number: int, awards: Awards) -> Reason | None:
        """The reason of one offer; None where every period is accepted in full.

        Envelopes are never "in full": their energy is what is used.
        """
        offer, power_w = self._problem.offers[number], awards.power_w[number]
        if isinstance(offer, CurveOffer | BlockOffer) and _in_full(power_w, *offered_range_w(offer)):
            return None
        place = int(self._problem.offer_place[number])
        worth, best, when = self._worth_at(place, number)
        used = bool(power_w.any())
        code, detail = self._said(offer, worth[best], when, used=used, profit=self._profit(number, offer))
        if (offer.q_var_min is not None or offer.q_var_max is not None) and awards.q_var[number].any():
            detail = f"its reactive power is used; of its active power: {detail}"
        return Reason.model_construct(
            code=code,
            detail=detail,
            would_clear_at_eur_per_mwh=worth,
            price_eur_per_mwh=self._price_at(place),
            binding=self._binding_at(place, best),
        )

    def _said(self, offer: FlexOffer, worth: Decimal, when: str, *, used: bool, profit: Decimal) -> tuple[Code, str]:
        at_best = f"the most it could have earned at {offer.bus} was {worth:.2f} EUR/MWh at {when} UTC"
        if used:
            return "partly_needed", f"more was not needed at its price; {at_best}"
        if isinstance(offer, BlockOffer) and profit > 0:
            return (
                "paradoxically_rejected",
                f"the published price would earn it {profit:.4f} EUR more than it asks, but accepting all of it, or in "
                "place of others of its group, would cost more in all",
            )
        if worth <= 0:
            return "not_needed", f"no limit made its change worth anything at {offer.bus}"
        ask = lowest_ask(offer)
        if isinstance(offer, BlockOffer) and ask < worth:
            return "block_rule", f"its profile as a whole is not worth what it asks; {at_best}"
        return "too_expensive", f"asks at least {ask:.2f} EUR/MWh; {at_best}"

    def _profit(self, number: int, offer: FlexOffer) -> Decimal:
        """What a block would earn above its ask if it were accepted in full [EUR]."""
        if not isinstance(offer, BlockOffer):
            return Decimal(0)
        price = self._price[:, self._problem.offer_place[number]].tolist()
        earned = sum((-micro(p) * w for p, w in zip(price, offer.power_w, strict=True)), Decimal(0))
        asked = offer.price_eur_per_mwh * sum(abs(w) for w in offer.power_w)
        return (earned - asked) * Decimal(repr(self._problem.hours)) / 10**6

    def _worth_at(self, place: int, number: int) -> tuple[tuple[Decimal, ...], int, str]:
        """Per period what a change in an offer's direction is worth; the period in which that is most, and its time.

        An offer that only lowers consumption earns the nodal price, one that only raises it the opposite; of one that
        does both, the better of the two counts.
        """
        key = (place, self._less[number].tobytes() + self._more[number].tobytes())
        if key not in self._worth:
            price = self._price[:, place]
            less, more = (np.unpackbits(each[number], count=len(price)) > 0 for each in (self._less, self._more))
            worth = np.where(more & ~less, -price, np.where(more & less, np.abs(price), price))
            offered = less | more
            best = int(np.where(offered, worth, np.iinfo(np.intp).min).argmax()) if offered.any() else 0
            same = (worth == price).all()
            series = self._price_at(place) if same else tuple(micro(each) for each in worth.tolist())
            self._worth[key] = series, best, f"{self._starts[best]:%Y-%m-%d %H:%M}"
        return self._worth[key]

    def _price_at(self, place: int) -> tuple[Decimal, ...]:
        if place not in self._prices:
            self._prices[place] = tuple(micro(each) for each in self._price[:, place].tolist())
        return self._prices[place]

    def _binding_at(self, place: int, period: int) -> tuple[str, ...]:
        """Names of the limits that add most to the price there, the first of them adding most."""
        key = (place, period)
        if key not in self._binding:
            rows, limits = self._rows, self._problem.limits
            own = np.flatnonzero(rows.period == period)
            adds = np.abs(self._shadow[rows.period[own], rows.limit[own]] * rows.slope[own, place])
            order = own[np.argsort(-adds, kind="stable")][: int((adds > 1e-6).sum())]
            names = [
                " ".join(filter(None, (limits.kind[k], limits.element[k], limits.phase[k])))
                + (f" ({limits.request[k]})" if limits.request[k] else "")
                for k in rows.limit[order].tolist()
            ]
            self._binding[key] = tuple(dict.fromkeys(names))[:_MOST_LIMITS]
        return self._binding[key]


def _ways(problem: ClearingProblem) -> tuple[ByteArray, ByteArray]:
    """(offer, period / 8) whether an offer can lower consumption in each period, and raise it, as packed bits."""
    columns = problem.columns
    ways = np.zeros((2, len(problem.offers), problem.periods), dtype=np.bool_)
    share, entry = columns.entries_of_shares()
    active = columns.place[entry] < problem.places.count
    share, entry = share[active], entry[active]
    ways[(columns.weight[entry] > 0).astype(np.intp), columns.share_offer[share], columns.period[entry]] = True
    return np.packbits(ways[0], axis=1), np.packbits(ways[1], axis=1)


def _in_full(power_w: IntArray, low: IntArray, high: IntArray) -> bool:
    offered = (low != 0) | (high != 0)
    return bool(((power_w != 0) & ((power_w == low) | (power_w == high)))[offered].all())
