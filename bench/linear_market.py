"""A case as the arrays of a linear market on a radial network: what both anchors start from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from api_spec.case import Case
from api_spec.flexibility import CongestionRequest, EnvelopeOffer, FlexOffer, VoltageRequest
from api_spec.units import series
from bench.power_flow import OperatingPoints, PowerFlow
from bench.radial import ComplexArray, FloatArray, IntArray, Tree


@dataclass(frozen=True, eq=False)
class Cells:
    """One entry for every offer and period of its window: what it may change [MW], at which price [EUR/MWh].

    sign : 1 where consumption is reduced, -1 where it is raised.
    """

    offer: IntArray
    period: IntArray
    bus: IntArray
    sign: FloatArray
    most_mw: FloatArray
    price: FloatArray


@dataclass(frozen=True, eq=False)
class Energies:
    """Bounds on what an offer has reduced up to and including a period [MWh]."""

    offer: IntArray
    period: IntArray
    low_mwh: FloatArray
    high_mwh: FloatArray


@dataclass(frozen=True, eq=False)
class Requested:
    """Limits that may be left unmet at a price, one entry per limited branch or bus.

    at : positions of branches or buses. low, high : (period, limit). slack_price : (limit,) per hour and unit of slack;
    slack_most : (limit,) infinite, or 0 where the limit has to be met.
    """

    at: IntArray
    low: FloatArray
    high: FloatArray
    slack_price: FloatArray
    slack_most: FloatArray

    @classmethod
    def joined(cls, parts: Sequence[Self], periods: int) -> Self:
        """All of the parts as one; they may be none."""
        none = np.empty(0)
        return cls(
            at=np.concatenate([none.astype(np.intp), *(part.at for part in parts)]),
            low=np.hstack([np.empty((periods, 0)), *(part.low for part in parts)]),
            high=np.hstack([np.empty((periods, 0)), *(part.high for part in parts)]),
            slack_price=np.concatenate([none, *(part.slack_price for part in parts)]),
            slack_most=np.concatenate([none, *(part.slack_most for part in parts)]),
        )


@dataclass(frozen=True, eq=False)
class LinearMarket:
    """The market as arrays, which both anchors start from.

    consumption : (period, bus) baseline [MW + j Mvar]; half of what every branch loses there, or takes for charging,
    counts as drawn at either end. energy_price : (period,) [EUR/MWh]. flows : (period, branch) of the baseline in the
    middle of each branch [MW + j Mvar], for which the voltage drop of LinDistFlow is exact. rating : (period, branch)
    [MVA], low, high : (period, bus) squared voltage [pu]: the network's own limits. lines, voltages : what
    is requested.
    """

    tree: Tree
    hours: float
    consumption: ComplexArray
    energy_price: FloatArray
    cells: Cells
    energies: Energies
    flows: ComplexArray
    rating: FloatArray
    low: FloatArray
    high: FloatArray
    lines: Requested
    voltages: Requested

    @classmethod
    def of(cls, case: Case) -> Self:
        """Read a case: envelope offers, congestion and voltage requests, a radial balanced network."""
        tree = Tree.of(case.network)
        periods = case.market_period.count
        place = {bus: at for at, bus in enumerate(case.network.bus_ids)}
        drawn = np.zeros((periods, tree.buses), dtype=np.complex128)
        for each in case.baseline:
            drawn[:, place[each.bus]] += np.array(each.p_w) + 1j * np.array(each.q_var)
        points = PowerFlow(case.network).solve(drawn.real, drawn.imag)
        for number, element in enumerate((*case.network.lines, *case.network.transformers)):
            for end in (element.from_bus, element.to_bus):
                drawn[:, place[end]] += points.losses_va[:, number] / 2
        consumption = drawn / 1e6
        flows = tree.flows(consumption)
        squared = tree.squared_voltages(flows)
        low, high = (np.array([getattr(bus, end) for bus in case.network.buses]) for end in ("min_pu", "max_pu"))
        return cls(
            tree=tree,
            hours=case.market_period.hours,
            consumption=consumption,
            energy_price=np.array([float(price) for price in case.energy_price_eur_per_mwh or (0,) * periods]),
            cells=_cells(case.offers, place, periods),
            energies=_energies(case.offers),
            flows=flows,
            rating=tree.rating_mva * np.sqrt(squared[:, tree.from_bus]),
            low=np.minimum(low**2, squared),
            high=np.maximum(high**2, squared),
            lines=Requested.joined(
                [_current_limit(each, tree, flows, points) for each in case.requests if each.kind == "congestion"],
                periods,
            ),
            voltages=Requested.joined(
                [_voltage_band(each, tree, place, periods) for each in case.requests if each.kind == "voltage"], periods
            ),
        )

    @property
    def periods(self) -> int:
        """Number of periods."""
        return len(self.consumption)

    @property
    def rated(self) -> IntArray:
        """Branches with a rating."""
        return np.flatnonzero(np.isfinite(self.tree.rating_mva))

    def active_limit(self) -> FloatArray:
        """(period, branch) what a rating leaves for active power beside the baseline's reactive flow [MW]."""
        left = np.sqrt(np.maximum(self.rating**2 - self.flows.imag**2, 0.0))
        limit: FloatArray = np.maximum(left, np.abs(self.flows.real))
        return limit

    def polygon(self, sides: int) -> list[tuple[float, float, FloatArray]]:
        """cos(a), sin(a) and the (period, rated) right-hand side of every side."""
        flows, rating = self.flows[:, self.rated], self.rating[:, self.rated] * np.cos(np.pi / max(sides, 1))
        around = [2 * np.pi * side / sides for side in range(sides)]
        return [
            (float(np.cos(a)), float(np.sin(a)), np.maximum(rating, np.cos(a) * flows.real + np.sin(a) * flows.imag))
            for a in around
        ]


def _envelope(offer: FlexOffer) -> EnvelopeOffer:
    if not isinstance(offer, EnvelopeOffer):
        raise ValueError(f"{offer.id}: the anchors know envelopes, and nothing else")
    return offer


def _cells(offers: Sequence[FlexOffer], place: dict[str, int], periods: int) -> Cells:
    """Where offers may change something; what reduces comes first."""
    asked = [_envelope(offer).price_eur_per_mwh for offer in offers]
    price = np.array(
        [[float(each) for each in series(ask, 1 if not isinstance(ask, tuple) else periods)] for ask in asked]
    )
    at = np.array([place[offer.bus] for offer in offers], dtype=np.intp)
    less, more = (
        np.array([getattr(offer, end) for offer in offers], dtype=np.float64).reshape(-1, periods) / 1e6
        for end in ("power_w_min", "power_w_max")
    )
    way, offer, period = np.nonzero(np.stack([-less, more]))
    return Cells(
        offer=offer,
        period=period,
        bus=at[offer],
        sign=np.where(way == 0, 1.0, -1.0),
        most_mw=np.stack([-less, more])[way, offer, period],
        price=np.broadcast_to(price.reshape(len(offers), -1), less.shape)[offer, period],
    )


def _energies(offers: Sequence[FlexOffer]) -> Energies:
    """Where the energy that was left out counts: always where it is to be taken back, else only at the end."""
    envelopes = [_envelope(offer) for offer in offers]
    least, most = (
        np.array([getattr(each, end) for each in envelopes], dtype=np.float64).reshape(len(envelopes), -1) / -1e6
        for end in ("energy_wh_max", "energy_wh_min")
    )
    power = np.array([[each.power_w_min, each.power_w_max] for each in envelopes], dtype=np.float64)
    counts = (power != 0).any(axis=1) & (power[:, 1] != 0).any(axis=1)[:, None]
    counts[:, -1] |= ~counts.any(axis=1)
    offer, period = np.nonzero(counts)
    return Energies(offer, period, least[offer, period], most[offer, period])


def _current_limit(request: CongestionRequest, tree: Tree, flows: ComplexArray, points: OperatingPoints) -> Requested:
    """A limit in A as one of active power, in both directions, by the baseline's power per ampere."""
    periods = len(flows)
    branch = tree.branch_of[request.element]
    now_a = points.current_a[:, tree.network.element_ids.index(request.element)]
    apparent = np.array(series(request.limit_a, periods)) * np.abs(flows[:, branch]) / now_a
    active = np.sqrt(np.maximum(apparent**2 - flows[:, branch].imag ** 2, 0.0))
    active[~_active(request, periods)] = np.inf
    price, most = _slack(request)
    return Requested(
        at=np.array([branch], dtype=np.intp),
        low=-active[:, None],
        high=active[:, None],
        slack_price=np.array([price]),
        slack_most=np.array([most]),
    )


def _voltage_band(request: VoltageRequest, tree: Tree, place: dict[str, int], periods: int) -> Requested:
    """A band of voltage magnitudes as one of their squares; "all" leaves the source out."""
    at = tree.to_bus if request.buses == "all" else np.array([place[bus] for bus in request.buses], dtype=np.intp)
    active = _active(request, periods)[:, None]
    low = 0.0 if request.min_pu is None else request.min_pu**2
    high = np.inf if request.max_pu is None else request.max_pu**2
    price, most = _slack(request)
    return Requested(
        at=at,
        low=np.where(active, low, 0.0) + np.zeros(len(at)),
        high=np.where(active, high, np.inf) + np.zeros(len(at)),
        slack_price=price / (2 * tree.resistance_to[at]),
        slack_most=np.full(len(at), most),
    )


def _active(request: CongestionRequest | VoltageRequest, periods: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.ones(periods, dtype=np.bool_) if request.active is None else np.array(request.active, dtype=np.bool_)


def _slack(request: CongestionRequest | VoltageRequest) -> tuple[float, float]:
    """What slack adds to a price at most, and how much of it there may be."""
    if request.max_price_eur_per_mwh is None:
        return 0.0, 0.0
    return float(request.max_price_eur_per_mwh), np.inf
