"""From offers to columns: what can be accepted, what it changes where and when, and at which price."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from struct import Struct
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from api_spec.flexibility import BlockOffer, CurveOffer, EnvelopeOffer, FlexOffer, PriceSeries
from api_spec.period import MarketPeriod
from api_spec.units import series
from market.network.model import BASE_VA, BoolArray, FloatArray, Grid, IntArray

NONE: Final = -1
_AT_ONCE: Final = 1_000  # envelopes, of which large tables are made
_USABLE_W: Final = 1e-6
NumberArray: TypeAlias = npt.NDArray[np.int32]
"""Numbers of columns in large tables, half as large as positions elsewhere."""


@dataclass(frozen=True)
class Places:
    """Where power changes: every terminal, then (three-phase networks) every bus, balanced over its phases.

    Reactive changes stand behind all active ones: place + `count` is the same place for reactive power.
    """

    terminals: int
    phases: int

    @classmethod
    def of(cls, grid: Grid) -> "Places":
        """The places of a grid."""
        return cls(grid.terminals, grid.phases)

    @property
    def count(self) -> int:
        """Number of places, of active power alone."""
        return self.terminals if self.phases == 1 else self.terminals + self.terminals // self.phases

    def at(self, grid: Grid, offer: FlexOffer) -> int:
        """Place of an offer's active power."""
        bus = grid.bus_at[offer.bus]
        if offer.phase is None:
            return bus if self.phases == 1 else self.terminals + bus
        return int(grid.connected(offer.bus, offer.phase)[0])

    def terminals_at(self, place: int) -> tuple[int, ...]:
        """Terminals that active power at a place is shared by."""
        if place < self.terminals:
            return (place,)
        first = (place - self.terminals) * self.phases
        return tuple(range(first, first + self.phases))

    def from_terminals(self, active: FloatArray, reactive: FloatArray) -> FloatArray:
        """(..., 2 count) what terminals' values : (..., terminal) are worth at every place; balanced = the mean."""
        parts = []
        for each in (active, reactive):
            parts.append(each)
            if self.phases > 1:
                by_bus = each.reshape(*each.shape[:-1], self.terminals // self.phases, self.phases)
                parts.append(by_bus.mean(axis=-1))
        return np.concatenate(parts, axis=-1)

    def to_terminals(self, change: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(..., terminal) active and reactive change that changes at places : (..., 2 count) add up to."""
        found = []
        for start in (0, self.count):
            own = change[..., start : start + self.terminals]
            if self.phases > 1:
                balanced = change[..., start + self.terminals : start + self.count] / self.phases
                own = own + np.repeat(balanced, self.phases, axis=-1)
            found.append(own)
        return found[0], found[1]


@dataclass(frozen=True, eq=False)
class Columns:
    """What can be accepted: column j is x_j between 0 and upper_mw [MW or Mvar].

    ask : (column,) asked per MWh (Mvarh) of |change| [EUR/MWh]. A column's entries say what it changes: `weight` MW of
    consumption per MW accepted at `place` in `period`; entries stand in the order of columns. Equal asks at one place
    and time are one column: its shares say which offers it stands for, and how much of it each could give [W or var].
    """

    upper_mw: FloatArray
    ask: FloatArray
    column: IntArray
    period: IntArray
    place: IntArray
    weight: FloatArray
    share_column: IntArray
    share_offer: IntArray
    share_w: IntArray

    def __len__(self) -> int:
        """Number of columns."""
        return len(self.upper_mw)

    def entries_of_shares(self) -> tuple[IntArray, IntArray]:
        """Every share with every entry of its column: (n,) positions of the share, and of the entry."""
        first, end = (np.searchsorted(self.column, self.share_column, side=side) for side in ("left", "right"))
        count = end - first
        share = np.repeat(np.arange(len(count)), count)
        entry = np.arange(len(share)) - np.repeat(np.cumsum(count) - count, count) + first[share]
        return share, entry

    def total(self, per_entry: FloatArray) -> FloatArray:
        """(column,) sum over each column's entries."""
        total: FloatArray = np.bincount(self.column, per_entry, minlength=len(self)).astype(np.float64)
        return total

    def worth(self, at_places: FloatArray) -> FloatArray:
        """(column,) what one MW of each column changes, valued at_places : (period, 2 places)."""
        return self.total(self.weight * at_places[self.period, self.place])


@dataclass(frozen=True, eq=False)
class Envelopes:
    """Bounds on the running energy of envelope offers, and the columns that make it up.

    offer : (envelope,) position. less, more : (envelope, period) columns, NONE where there is none. low, high :
    (envelope, period) [MW times periods]. kept : (envelope, period) where a bound is not implied by the others and by
    those of power. of_column : (column,) its envelope, or NONE.
    """

    offer: IntArray
    less: NumberArray
    more: NumberArray
    low: FloatArray
    high: FloatArray
    kept: BoolArray
    of_column: IntArray

    def __len__(self) -> int:
        """Number of envelopes."""
        return len(self.offer)

    def running(self, accepted_mw: FloatArray, of: IntArray) -> FloatArray:
        """(k, period) running sum of the change of power of envelopes `of` : (k,) [MW times periods]."""
        padded = np.append(accepted_mw, 0.0)  # NONE is the last
        total: FloatArray = np.cumsum(padded[self.more[of]] - padded[self.less[of]], axis=1)
        return total


@dataclass(frozen=True, eq=False)
class Blocks:
    """Columns that are accepted by one factor for all periods: 0, or from min_activation to 1.

    offer, column : (block,). group : (block,) equal numbers exclude each other, NONE = free. requires : (block,)
    position of the offer without which it is not accepted, or NONE.
    """

    offer: IntArray
    column: IntArray
    min_activation: FloatArray
    group: IntArray
    requires: IntArray

    def __len__(self) -> int:
        """Number of blocks."""
        return len(self.offer)


@dataclass(frozen=True, eq=False)
class Turns:
    """Columns of a fleet of which only one may be used in a period: less or more consumption, not both at once.

    Only where an optimum could use both: the fleet pays for |change|, or a block requires that it changes anything.
    less, more : (turn,). envelope : (turn,) position of their envelope.
    """

    less: IntArray
    more: IntArray
    envelope: IntArray

    def __len__(self) -> int:
        """Number of turns."""
        return len(self.less)


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
    fleets, less, more = _envelope_part(envelopes, place, book.market_period)
    steps, whole = _curve_part(curves, place, periods), _block_part(blocks, place)
    columns, starts = _joined(
        [steps, fleets, whole, _reactive_part(offers, place + Places.of(book.grid).count, periods)]
    )
    less, more = (np.where(each >= 0, each + np.int32(starts[1]), np.int32(NONE)) for each in (less, more))
    by_id = {offer.id: at for at, offer in enumerate(offers)}
    whole_offers = _blocks(blocks, starts[2], by_id)
    return (
        columns,
        _envelopes(envelopes, less, more, columns, book.market_period.hours),
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


def _envelope_part(
    offers: list[tuple[int, EnvelopeOffer]], place: IntArray, market_period: MarketPeriod
) -> tuple[Columns, NumberArray, NumberArray]:
    """One column for each direction and period that can be used; with (envelope, period) their numbers in the part."""
    periods = market_period.count
    low = whole_table([each.power_w_min for _, each in offers], periods)
    high = whole_table([each.power_w_max for _, each in offers], periods)
    for start in range(0, len(offers), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        bounds = ([getattr(each, name) for _, each in offers[some]] for name in ("energy_wh_min", "energy_wh_max"))
        least, most = (whole_table(rows, periods) / market_period.hours for rows in bounds)
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
    least, most = (np.concatenate([np.zeros((len(each), 1)), each], axis=1) for each in (least, most))
    steps = range(low.shape[1])
    for t in steps:
        least[:, t + 1] = np.maximum(least[:, t + 1], least[:, t] + low[:, t])
        most[:, t + 1] = np.minimum(most[:, t + 1], most[:, t] + high[:, t])
    for t in reversed(steps):
        least[:, t] = np.maximum(least[:, t], least[:, t + 1] - high[:, t])
        most[:, t] = np.minimum(most[:, t], most[:, t + 1] - low[:, t])
    return most[:, :-1] - least[:, 1:] > _USABLE_W, most[:, 1:] - least[:, :-1] > _USABLE_W


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
    offers: list[tuple[int, EnvelopeOffer]], less: NumberArray, more: NumberArray, columns: Columns, hours: float
) -> Envelopes:
    periods = less.shape[1]
    low = whole_table([each.energy_wh_min for _, each in offers], periods) / BASE_VA
    high = whole_table([each.energy_wh_max for _, each in offers], periods) / BASE_VA
    low /= hours
    high /= hours
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
    kept = np.ones(low.shape, dtype=np.bool_)
    implied = np.zeros(len(low))  # what holds at the end of the period before, whatever is accepted
    for t in range(low.shape[1]):
        implied = implied + least[:, t]
        kept[:, t] = low[:, t] > implied
        implied = np.maximum(implied, low[:, t])
    implied = np.full(len(low), -np.inf)
    for t in reversed(range(low.shape[1])):
        kept[:, t] &= low[:, t] > implied
        implied = np.where(kept[:, t], np.maximum(implied, low[:, t]), implied) - most[:, t]
    return kept


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


def whole_table(rows: Sequence[Sequence[int]], periods: int) -> IntArray:
    """(row, period) whole numbers; a series that stands in many rows, as zeros do, is read once."""
    series = {id(row): row for row in rows}
    packed, table = Struct(f"{periods}q"), np.empty((len(series), periods), dtype=np.intp)
    for at, row in enumerate(series.values()):
        packed.pack_into(table.data, at * packed.size, *row)  # in half the time of numpy
    number = {key: at for at, key in enumerate(series)}
    return table if len(series) == len(rows) else table[[number[id(row)] for row in rows]]


def ask_table(rows: Sequence[PriceSeries], periods: int) -> FloatArray:
    """(row, period) [EUR/MWh]."""
    at_first = np.array([float(row[0] if isinstance(row, tuple) else row) for row in rows])
    price: FloatArray = np.repeat(at_first.reshape(-1, 1), periods, axis=1)
    for at, row in enumerate(rows):
        if isinstance(row, tuple):
            price[at] = [float(each) for each in row]
    return price
