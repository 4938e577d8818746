"""Offers read as columns: steps of curves, what fleets may do less and more, blocks, and reactive power."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from api_spec.flexibility import BlockOffer, CurveOffer, EnvelopeOffer, FlexOffer
from api_spec.period import MarketPeriod
from api_spec.units import series
from market.clearing.columns import NONE, Blocks, Columns, Envelopes, NumberArray, Turns
from market.clearing.places import Places
from market.clearing.tables import ask_table, whole_table
from market.network.model import BASE_VA, BoolArray, FloatArray, Grid, IntArray

_AT_ONCE: Final = 2_000  # envelopes, of which large tables are made
_USABLE_W: Final = 1e-6


@dataclass(frozen=True, eq=False)
class Book:
    """Offers in the order of their ids; positions in it name them. What can be accepted is read once it is needed."""

    offers: tuple[FlexOffer, ...]
    grid: Grid
    market_period: MarketPeriod

    @cached_property
    def place(self) -> IntArray:
        """(offer,) where its active power changes."""
        places = Places.of(self.grid)
        return np.array([places.at(self.grid, offer) for offer in self.offers], dtype=np.intp)

    @cached_property
    def parts(self) -> tuple[Columns, Envelopes, Blocks, Turns]:
        """What can be accepted of all offers."""
        return _columns_of(self)


def _columns_of(book: Book) -> tuple[Columns, Envelopes, Blocks, Turns]:
    offers, place, periods = book.offers, book.place, book.market_period.count
    curves = [(at, each) for at, each in enumerate(offers) if isinstance(each, CurveOffer)]
    envelopes = [(at, each) for at, each in enumerate(offers) if isinstance(each, EnvelopeOffer)]
    blocks = [(at, each) for at, each in enumerate(offers) if isinstance(each, BlockOffer)]
    energies = _energies(envelopes, book.market_period)
    fleets, less, more = _envelope_part(envelopes, place, periods, energies)
    steps, whole = _curve_part(curves, place, periods), _block_part(blocks, place)
    columns, starts = _joined(
        [steps, fleets, whole, _reactive_part(offers, place + Places.of(book.grid).count, periods)]
    )
    less, more = (np.where(each >= 0, each + np.int32(starts[1]), np.int32(NONE)) for each in (less, more))
    by_id = {offer.id: at for at, offer in enumerate(offers)}
    whole_offers = _blocks(blocks, starts[2], by_id)
    return (
        columns,
        _envelopes(envelopes, less, more, columns, energies),
        whole_offers,
        _turns(envelopes, less, more, columns, whole_offers),
    )


def _curve_part(offers: list[tuple[int, CurveOffer]], place: IntArray, periods: int) -> Columns:
    """Steps of equal price, place, period and direction become one column."""
    steps = [(at, step) for at, offer in offers for step in offer.steps]
    power = whole_table([step.power_w for _, step in steps], periods)
    price = ask_table([step.price_eur_per_mwh for _, step in steps], periods)
    row, period = np.nonzero(power)
    offer = np.array([at for at, _ in steps], dtype=np.intp)[row]
    change, ask = power[row, period], price[row, period]
    key = np.lexsort((offer, ask, np.sign(change), place[offer], period))
    offer, period, change, ask = offer[key], period[key], change[key], ask[key]
    alike = np.stack([period, place[offer], np.sign(change)]) if len(key) else np.zeros((3, 0), dtype=np.intp)
    first = np.ones(len(key), dtype=np.bool_)
    first[1:] = (alike[:, 1:] != alike[:, :-1]).any(axis=0) | (ask[1:] != ask[:-1])
    column = np.cumsum(first) - 1
    return _single(
        np.bincount(column, np.abs(change)),
        ask[first],
        period[first],
        place[offer][first],
        np.sign(change[first]),
        shares=(column, offer, np.abs(change)),
    )


def _energies(offers: list[tuple[int, EnvelopeOffer]], market_period: MarketPeriod) -> tuple[FloatArray, FloatArray]:
    """(envelope, period) least and most running energy [MW times periods]."""
    low, high = (
        whole_table([getattr(each, name) for _, each in offers], market_period.count) / BASE_VA
        for name in ("energy_wh_min", "energy_wh_max")
    )
    low /= market_period.hours
    high /= market_period.hours
    return low, high


def _envelope_part(
    offers: list[tuple[int, EnvelopeOffer]], place: IntArray, periods: int, energies: tuple[FloatArray, FloatArray]
) -> tuple[Columns, NumberArray, NumberArray]:
    """One column for each direction and period that can be used; with (envelope, period) their numbers in the part."""
    low = whole_table([each.power_w_min for _, each in offers], periods)
    high = whole_table([each.power_w_max for _, each in offers], periods)
    for start in range(0, len(offers), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        least, most = (each[some] * BASE_VA for each in energies)
        down, up = _usable(low[some], high[some], least, most)
        low[some] *= down
        high[some] *= up
    price = ask_table([each.price_eur_per_mwh for _, each in offers], periods)
    entries = [np.nonzero(low), np.nonzero(high)]
    row, period = (np.concatenate(each) for each in zip(*entries, strict=True))
    change = np.concatenate([table[each] for table, each in zip((low, high), entries, strict=True)])
    way = np.repeat([-1, 1], [len(each[0]) for each in entries])
    order = np.lexsort((way, row))  # periods stand in order already
    row, period, change, way = row[order], period[order], change[order], way[order]
    less, more = (np.full(low.shape, NONE, dtype=np.int32) for _ in range(2))
    numbers = np.arange(len(row), dtype=np.int32)
    for table, own in ((less, way < 0), (more, way > 0)):
        table[row[own], period[own]] = numbers[own]
    at = np.array([each for each, _ in offers], dtype=np.intp)
    upper = np.abs(change)
    shares = (np.arange(len(row)), at[row], upper)
    return _single(upper, price[row, period], period, place[at[row]], way, shares=shares), less, more


def _usable(low: IntArray, high: IntArray, least: FloatArray, most: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Where a fleet can consume less, and more : (envelope, period), without its running energy leaving its bounds.

    low, high : of its change [W]. least, most : of its running energy [W times periods]; all (envelope, period). What
    can be reached from the periods before and what can be brought back in those to come are narrowed down in turn.
    """
    low, high = (np.ascontiguousarray(each.T) for each in (low, high))
    nothing = np.zeros((1, low.shape[1]))
    least, most = (np.concatenate([nothing, np.ascontiguousarray(each.T)]) for each in (least, most))
    steps = range(len(low))
    for t in steps:
        least[t + 1] = np.maximum(least[t + 1], least[t] + low[t])
        most[t + 1] = np.minimum(most[t + 1], most[t] + high[t])
    for t in reversed(steps):
        least[t] = np.maximum(least[t], least[t + 1] - high[t])
        most[t] = np.minimum(most[t], most[t + 1] - low[t])
    return (most[:-1] - least[1:]).T > _USABLE_W, (most[1:] - least[:-1]).T > _USABLE_W


def _block_part(offers: list[tuple[int, BlockOffer]], place: IntArray) -> Columns:
    """One column for each block, measured by the largest power of its profile.

    One that changes nothing has an entry, too, of weight 0: every column stands somewhere.
    """
    profiles = [np.array(each.power_w, dtype=np.float64) for _, each in offers]
    largest = np.array([np.abs(each).max(initial=0.0) for each in profiles])
    entries = [
        (number, t, at, w / (largest[number] or 1.0))
        for number, ((at, _), profile) in enumerate(zip(offers, profiles, strict=True))
        for t, w in enumerate(profile.tolist())
        if w != 0 or (t == 0 and largest[number] == 0)
    ]
    at = np.array([each for each, _ in offers], dtype=np.intp)
    return Columns(
        upper_mw=largest / BASE_VA,
        ask=np.array([float(each.price_eur_per_mwh) for _, each in offers]),
        column=np.array([each[0] for each in entries], dtype=np.intp),
        period=np.array([each[1] for each in entries], dtype=np.intp),
        place=place[np.array([each[2] for each in entries], dtype=np.intp)],
        weight=np.array([each[3] for each in entries]),
        share_column=np.arange(len(offers)),
        share_offer=at,
        share_w=largest.astype(np.intp),
    )


def _reactive_part(offers: Sequence[FlexOffer], place: IntArray, periods: int) -> Columns:
    """Reactive capability: a column for each direction and period. place : (offer,) of reactive power."""
    able = [at for at, each in enumerate(offers) if each.q_var_min is not None or each.q_var_max is not None]
    low = whole_table([series(offers[at].q_var_min or 0, periods) for at in able], periods)
    high = whole_table([series(offers[at].q_var_max or 0, periods) for at in able], periods)
    price = np.array([float(offers[at].q_price_eur_per_mvarh or 0) for at in able])
    both = np.stack([low, high], axis=1)
    row, way, period = np.nonzero(both)
    at = np.array(able, dtype=np.intp)[row]
    upper = np.abs(both[row, way, period])
    shares = (np.arange(len(row)), at, upper)
    return _single(upper, price[row], period, place[at], np.where(way == 0, -1, 1), shares=shares)


def _single(
    upper_w: npt.NDArray[np.generic],
    ask: FloatArray,
    period: IntArray,
    place: IntArray,
    sign: IntArray,
    *,
    shares: tuple[IntArray, IntArray, IntArray],
) -> Columns:
    """Columns of one entry each."""
    upper_mw = upper_w.astype(np.float64) / BASE_VA
    numbers = np.arange(len(upper_mw))
    return Columns(upper_mw, ask, numbers, period, place, sign.astype(np.float64), *shares)


def _joined(parts: Sequence[Columns]) -> tuple[Columns, list[int]]:
    """Parts one after the other, and where each of them starts."""
    starts = [0, *np.cumsum([len(part.upper_mw) for part in parts]).tolist()]

    def numbered(name: str) -> IntArray:
        numbers: IntArray = np.concatenate(
            [getattr(part, name) + start for part, start in zip(parts, starts, strict=False)]
        )
        return numbers.astype(np.intp)

    def plain(name: str) -> npt.NDArray[np.generic]:
        return np.concatenate([getattr(part, name) for part in parts])

    columns = Columns(
        upper_mw=plain("upper_mw").astype(np.float64),
        ask=plain("ask").astype(np.float64),
        column=numbered("column"),
        period=plain("period").astype(np.intp),
        place=plain("place").astype(np.intp),
        weight=plain("weight").astype(np.float64),
        share_column=numbered("share_column"),
        share_offer=plain("share_offer").astype(np.intp),
        share_w=plain("share_w").astype(np.intp),
    )
    return columns, starts


def _envelopes(
    offers: list[tuple[int, EnvelopeOffer]],
    less: NumberArray,
    more: NumberArray,
    columns: Columns,
    energies: tuple[FloatArray, FloatArray],
) -> Envelopes:
    low, high = energies
    upper, kept = np.append(columns.upper_mw, 0.0), np.zeros(low.shape, dtype=np.bool_)  # NONE is the last
    for start in range(0, len(low), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        down, up = upper[less[some]], upper[more[some]]
        kept[some] = _not_implied(-high[some], -up, down) | _not_implied(low[some], -down, up)
    of_column = np.full(len(columns), NONE, dtype=np.intp)
    for side in (less, more):
        of_column[side[side >= 0]] = np.nonzero(side >= 0)[0]
    return Envelopes(
        offer=np.array([at for at, _ in offers], dtype=np.intp),
        less=less,
        more=more,
        low=low,
        high=high,
        kept=kept,
        of_column=of_column,
    )


def _not_implied(low: FloatArray, least: FloatArray, most: FloatArray) -> BoolArray:
    """(envelope, period) where running >= low says more than the bounds before and after it, and those of each change.

    least, most : (envelope, period) bounds of the change in each period.
    """
    low, least, most = (np.ascontiguousarray(each.T) for each in (low, least, most))
    kept = np.ones(low.shape, dtype=np.bool_)
    implied = np.zeros(low.shape[1])  # what holds at the end of the period before, whatever is accepted
    for t in range(len(low)):
        implied = implied + least[t]
        kept[t] = low[t] > implied
        implied = np.maximum(implied, low[t])
    implied = np.full(low.shape[1], -np.inf)
    for t in reversed(range(len(low))):
        kept[t] &= low[t] > implied
        implied = np.where(kept[t], np.maximum(implied, low[t]), implied) - most[t]
    return kept.T


def _blocks(offers: list[tuple[int, BlockOffer]], first: int, by_id: dict[str, int]) -> Blocks:
    groups = {name: at for at, name in enumerate(sorted({each.exclusive_group or "" for _, each in offers} - {""}))}
    return Blocks(
        offer=np.array([at for at, _ in offers], dtype=np.intp),
        column=np.arange(first, first + len(offers)),
        min_activation=np.array([each.min_activation for _, each in offers], dtype=np.float64),
        group=np.array([groups.get(each.exclusive_group or "", NONE) for _, each in offers], dtype=np.intp),
        requires=np.array([by_id.get(each.requires or "", NONE) for _, each in offers], dtype=np.intp),
    )


def _turns(
    offers: list[tuple[int, EnvelopeOffer]], less: NumberArray, more: NumberArray, columns: Columns, blocks: Blocks
) -> Turns:
    required = np.isin([at for at, _ in offers], blocks.requires)
    ask = np.append(columns.ask, 0.0)[less]  # NONE is the last
    envelope, period = np.nonzero((less != NONE) & (more != NONE) & ((ask < 0) | required[:, None]))
    return Turns(less[envelope, period].astype(np.intp), more[envelope, period].astype(np.intp), envelope)
