"""From the contract to arrays: what can be accepted, at which price, and which limits it must respect."""

from dataclasses import dataclass

import numpy as np

from api_spec.case import Case
from api_spec.flexibility import CurveOffer, EnvelopeOffer
from api_spec.units import series
from market.clearing.limits import Limits, groups_of, limits_of
from market.clearing.quantities import Quantities
from market.errors import NotSupported
from market.network.model import BASE_VA, FloatArray, Grid, IntArray
from market.network.operating_point import OperatingPoints, PowerFlow


@dataclass(frozen=True, eq=False)
class Columns:
    """What can be accepted: each column is a divisible change of power at one bus in one period, in one direction.

    period, bus : (column,) where. sign : (column,) +1 more, -1 less consumption. upper_mw : (column,) the most that can
    be accepted [MW]. price : (column,) asked per MWh of |change| [EUR/MWh]. offers, shares_w : per column the offers it
    stands for (positions in the order of ids) and how much each could give: equal asks at one place are one column, and
    share pro rata.
    """

    period: IntArray
    bus: IntArray
    sign: FloatArray
    upper_mw: FloatArray
    price: FloatArray
    offers: tuple[IntArray, ...]
    shares_w: tuple[IntArray, ...]

    def __len__(self) -> int:
        """Number of columns."""
        return len(self.period)


@dataclass(frozen=True, eq=False)
class Envelope:
    """An envelope offer's bounds on running energy, and the columns that make it up.

    less, more : (period,) positions of its columns, -1 where there is none. low_mwh, high_mwh : (period,).
    """

    offer: int
    less: IntArray
    more: IntArray
    low_mwh: FloatArray
    high_mwh: FloatArray


@dataclass(frozen=True, eq=False)
class ClearingProblem:
    """A case as arrays. Offers and requests stand in the order of their ids, buses and branches too.

    hours : length of a period [h]. energy_price, losses_price : (period,) [EUR/MWh]. p_w, q_var : (period, bus)
    baseline. baseline_points, baseline : its operating points and quantities. couplings : (period,) equal numbers for
    periods that some envelope ties together.
    """

    case: Case
    grid: Grid
    flow: PowerFlow
    hours: float
    energy_price: FloatArray
    losses_price: FloatArray
    p_w: FloatArray
    q_var: FloatArray
    baseline_points: OperatingPoints
    baseline: FloatArray
    quantities: Quantities
    limits: Limits
    offers: tuple[CurveOffer | EnvelopeOffer, ...]
    columns: Columns
    envelopes: tuple[Envelope, ...]
    couplings: IntArray

    @property
    def periods(self) -> int:
        """Number of market periods."""
        return len(self.p_w)

    def change_w(self, accepted_mw: FloatArray) -> FloatArray:
        """(period, bus) change of consumption [W] for accepted_mw : (column,)."""
        change = np.zeros_like(self.p_w)
        columns = self.columns
        np.add.at(change, (columns.period, columns.bus), columns.sign * accepted_mw * BASE_VA)
        return change


def problem_of(case: Case) -> ClearingProblem:
    """Arrays of a case, with the baseline's operating points.

    Raises NotSupported for what this clearing does not do yet, PowerFlowDiverged where the baseline has no AC solution.
    """
    offers = _supported_offers(case)
    grid = Grid.of(case.network)
    flow = PowerFlow(grid)
    p_w, q_var = _baseline(case, grid)
    points = flow.solve(p_w, q_var)
    quantities = Quantities(grid, groups_of(case, grid))
    baseline = quantities.values(points, np.zeros_like(p_w))
    count = case.market_period.count
    columns, envelopes = _columns(offers, grid, count)
    return ClearingProblem(
        case=case,
        grid=grid,
        flow=flow,
        hours=case.market_period.hours,
        energy_price=np.array(case.energy_price_eur_per_mwh or (0,) * count, dtype=np.float64),
        losses_price=_losses_price(case),
        p_w=p_w,
        q_var=q_var,
        baseline_points=points,
        baseline=baseline,
        quantities=quantities,
        limits=limits_of(case, quantities, baseline),
        offers=offers,
        columns=columns,
        envelopes=envelopes,
        couplings=np.zeros(count, dtype=np.intp) if envelopes else np.arange(count),
    )


def _supported_offers(case: Case) -> tuple[CurveOffer | EnvelopeOffer, ...]:
    if case.network.phases != 1:
        raise NotSupported("/network/phases", "three-phase networks are not cleared yet")
    for at, offer in enumerate(case.offers):
        if offer.kind == "block":
            raise NotSupported(f"/offers/{at}/kind", "block offers are not cleared yet; curve and envelope offers are")
        if offer.q_var_min is not None or offer.q_var_max is not None:
            raise NotSupported(f"/offers/{at}", "reactive capability is not cleared yet")
    return tuple(sorted((each for each in case.offers if each.kind != "block"), key=lambda offer: offer.id))


def _baseline(case: Case, grid: Grid) -> tuple[FloatArray, FloatArray]:
    p_w = np.zeros((case.market_period.count, grid.buses))
    q_var = np.zeros_like(p_w)
    # Sums of floats depend on their order: sorted, permuted lists give the same bits.
    for each in sorted(case.baseline, key=lambda each: (each.bus, each.p_w, each.q_var)):
        p_w[:, grid.bus_at[each.bus]] += each.p_w
        q_var[:, grid.bus_at[each.bus]] += each.q_var
    return p_w, q_var


def _losses_price(case: Case) -> FloatArray:
    count = case.market_period.count
    price = np.zeros(count)
    for request in sorted(case.requests, key=lambda request: request.id):
        if request.kind == "losses":
            price += float(request.price_eur_per_mwh) * np.array(request.active or (True,) * count)
    return price


def _columns(
    offers: tuple[CurveOffer | EnvelopeOffer, ...], grid: Grid, count: int
) -> tuple[Columns, tuple[Envelope, ...]]:
    """Columns of all offers; curve steps of equal price, place, period and direction become one."""
    rows: list[tuple[int, int, int, float]] = []
    members: list[list[tuple[int, int]]] = []
    together: dict[tuple[int, int, int, float], int] = {}
    envelopes = []
    for number, offer in enumerate(offers):
        bus = grid.bus_at[offer.bus]
        if isinstance(offer, CurveOffer):
            for step in offer.steps:
                for period, (w, price) in enumerate(
                    zip(step.power_w, series(step.price_eur_per_mwh, count), strict=True)
                ):
                    if w != 0:
                        row = (period, bus, int(np.sign(w)), float(price))
                        at = together.setdefault(row, len(rows))
                        if at == len(rows):
                            rows.append(row)
                            members.append([])
                        members[at].append((number, abs(w)))
            continue
        prices = [float(price) for price in series(offer.price_eur_per_mwh, count)]
        ways = []
        for sign, bounds in ((-1, offer.power_w_min), (1, offer.power_w_max)):
            way = np.full(count, -1, dtype=np.intp)
            for period, w in enumerate(bounds):
                if w != 0:
                    way[period] = len(rows)
                    rows.append((period, bus, sign, prices[period]))
                    members.append([(number, abs(w))])
            ways.append(way)
        low, high = (
            np.array(bounds, dtype=np.float64) / BASE_VA for bounds in (offer.energy_wh_min, offer.energy_wh_max)
        )
        envelopes.append(Envelope(number, ways[0], ways[1], low, high))
    shares = tuple(np.array([w for _, w in each], dtype=np.intp) for each in members)
    columns = Columns(
        period=np.array([row[0] for row in rows], dtype=np.intp),
        bus=np.array([row[1] for row in rows], dtype=np.intp),
        sign=np.array([row[2] for row in rows], dtype=np.float64),
        upper_mw=np.array([share.sum() for share in shares], dtype=np.float64) / BASE_VA,
        price=np.array([row[3] for row in rows], dtype=np.float64),
        offers=tuple(np.array([number for number, _ in each], dtype=np.intp) for each in members),
        shares_w=shares,
    )
    return columns, tuple(envelopes)
