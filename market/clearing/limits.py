"""Which limits hold: the requested ones, and all others of the network under the no-harm rule."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from api_spec.case import Case
from api_spec.flexibility import (
    CapacityRequest,
    CongestionRequest,
    FlexRequest,
    LimitSeries,
    PowerRequest,
    ReactiveRequest,
    VoltageRequest,
)
from api_spec.result import LimitKind
from api_spec.units import series
from market.clearing.quantities import Family, Quantities
from market.network.model import FloatArray, Grid, IntArray

NO_LIMIT: Final = np.inf
_VOLTAGE_SCALE: Final = 0.01  # a hundredth of nominal voltage counts like a whole current or power limit


@dataclass(frozen=True, eq=False)
class Limits:
    """All limits in all periods. A limit is kept where `sense * (value - bound) <= 0`.

    quantity : (limit,) position in the vector of quantities. sense : (limit,) +1 upper, -1 lower. bound : (period,
    limit), `sense * inf` where it does not hold. scale : (limit,) what one relative unit of it is. max_price : (limit,)
    [EUR/MWh], inf = to be met at any price. whole : (limit,) equal numbers for parts of one limit, such as both ends
    of a line, which share what is left unmet. kind, request, element : (limit,) names; request is None for the
    network's own limits.
    """

    quantity: IntArray
    sense: FloatArray
    bound: FloatArray
    scale: FloatArray
    max_price: FloatArray
    whole: IntArray
    kind: tuple[LimitKind, ...]
    request: tuple[str | None, ...]
    element: tuple[str, ...]

    def excess(self, values: FloatArray) -> FloatArray:
        """(period, limit) how far quantities are beyond their bounds, relative to the scale; negative = room left.

        values : (period, quantity); also (copies of all periods, quantity), answered alike.
        """
        bound = np.tile(self.bound, (len(values) // len(self.bound), 1))
        beyond: FloatArray = self.sense * (values[:, self.quantity] - bound) / self.scale
        return beyond


@dataclass(frozen=True)
class _Limit:
    """One limit on its way into the arrays. bound : one value per period, None where it does not hold."""

    quantity: int
    upper: bool
    bound: tuple[float | None, ...]
    kind: LimitKind
    element: str
    request: FlexRequest | None = None


def limits_of(case: Case, quantities: Quantities, baseline: FloatArray) -> Limits:
    """Limits of a case. baseline : (period, quantity) values without any offer.

    Requested limits stand as asked. Every other limit of the network is at `max(limit, baseline value)`: clearing does
    no harm (clearing.md).
    """
    requests = sorted(case.requests, key=lambda request: request.id)
    asked = [limit for request in requests for limit in _requested(request, case, quantities, baseline)]
    every = [*asked, *_own(quantities, baseline)]
    sense = np.array([1.0 if limit.upper else -1.0 for limit in every])
    bound = np.array(
        [[way * NO_LIMIT if b is None else b for b in limit.bound] for limit, way in zip(every, sense, strict=True)]
    ).T.reshape(case.market_period.count, len(every))
    quantity = np.array([limit.quantity for limit in every], dtype=np.intp)
    return Limits(
        quantity=quantity,
        sense=sense,
        bound=bound,
        scale=_scales(every, bound, baseline),
        max_price=np.array([_max_price(limit.request) for limit in every]),
        whole=_wholes(every),
        kind=tuple(limit.kind for limit in every),
        request=tuple(None if limit.request is None else limit.request.id for limit in every),
        element=tuple(limit.element for limit in every),
    )


def groups_of(case: Case, grid: Grid) -> tuple[IntArray, ...]:
    """Buses of every `power` request that names buses, in the order of request ids."""
    return tuple(
        np.array(sorted({grid.bus_at[bus] for bus in request.buses}), dtype=np.intp)
        for request in sorted(case.requests, key=lambda request: request.id)
        if request.kind == "power" and request.buses != "source"
    )


def _requested(request: FlexRequest, case: Case, quantities: Quantities, baseline: FloatArray) -> list[_Limit]:
    grid, count = quantities.grid, case.market_period.count

    def limit(
        kind: LimitKind, element: str, family: Family, at: int, bound: LimitSeries | None, *, upper: bool = True
    ) -> list[_Limit]:
        if bound is None:
            return []
        active = request.active or (True,) * count
        bounds = tuple(b if on else None for b, on in zip(series(bound, count), active, strict=True))
        return [_Limit(quantities.position(family, at), upper, bounds, kind, element, request)]

    if isinstance(request, CongestionRequest):
        branch = grid.branch_at[request.element]
        ends = (Family.CURRENT_FROM, Family.CURRENT_TO) if grid.is_line[branch] else (Family.CURRENT_FROM,)
        return [each for end in ends for each in limit("congestion", request.element, end, branch, request.limit_a)]
    if isinstance(request, CapacityRequest):
        branch, name = grid.branch_at[request.element], request.element
        low = None if request.export_limit_w is None else _negative(request.export_limit_w, count)
        high = limit("capacity", name, Family.ACTIVE, branch, request.import_limit_w)
        return [*high, *limit("capacity", name, Family.ACTIVE, branch, low, upper=False)]
    if isinstance(request, ReactiveRequest):
        branch, name = grid.branch_at[request.element], request.element
        low = _negative(request.limit_var, count)
        high = limit("reactive", name, Family.REACTIVE, branch, request.limit_var)
        return [*high, *limit("reactive", name, Family.REACTIVE, branch, low, upper=False)]
    if isinstance(request, VoltageRequest):
        others = [bus for bus in grid.bus_ids if bus != case.network.source.bus]
        band = ((request.min_pu, False), (request.max_pu, True))
        return [
            each
            for bus in (others if request.buses == "all" else sorted(set(request.buses)))
            for bound, upper in band
            for each in limit("voltage", bus, Family.VOLTAGE, grid.bus_at[bus], bound, upper=upper)
        ]
    if isinstance(request, PowerRequest):
        return _change_of_power(request, case, quantities, baseline)
    return []


def _negative(bound: LimitSeries, count: int) -> tuple[float, ...]:
    return tuple(-value for value in series(bound, count))


def _change_of_power(request: PowerRequest, case: Case, quantities: Quantities, baseline: FloatArray) -> list[_Limit]:
    """At least the asked change in its direction: an upper limit where less is asked for, a lower one for more."""
    count = case.market_period.count
    if request.buses == "source":
        quantity, element = quantities.position(Family.SOURCE), "source"
    else:
        named = [each.id for each in sorted(case.requests, key=lambda each: each.id) if _names_buses(each)]
        quantity = quantities.position(Family.OFFERED, named.index(request.id))
        element = ",".join(request.buses)[:100]
    asked = [
        w if on else 0 for w, on in zip(series(request.power_w, count), request.active or (True,) * count, strict=True)
    ]
    bound = [float(baseline[t, quantity] + w) for t, w in enumerate(asked)]
    return [
        _Limit(
            quantity,
            upper,
            tuple(b if (w < 0 if upper else w > 0) else None for w, b in zip(asked, bound, strict=True)),
            "power",
            element,
            request,
        )
        for upper in (True, False)
        if any(w < 0 if upper else w > 0 for w in asked)
    ]


def _names_buses(request: FlexRequest) -> bool:
    return request.kind == "power" and request.buses != "source"


def _own(quantities: Quantities, baseline: FloatArray) -> list[_Limit]:
    """The network's own limits: ratings at both ends of lines, at the from side of transformers, and voltage bands."""
    grid = quantities.grid

    def no_harm(family: Family, at: int, bound: float, kind: LimitKind, element: str, *, upper: bool) -> _Limit:
        quantity = quantities.position(family, at)
        worse = np.maximum if upper else np.minimum
        return _Limit(quantity, upper, tuple(worse(baseline[:, quantity], bound).tolist()), kind, element)

    ratings = [
        no_harm(end, at, float(grid.rating_a[at]), "congestion", name, upper=True)
        for at, name in enumerate(grid.branch_ids)
        if not np.isnan(grid.rating_a[at])
        for end in ((Family.CURRENT_FROM, Family.CURRENT_TO) if grid.is_line[at] else (Family.CURRENT_FROM,))
    ]
    bands = [
        no_harm(Family.VOLTAGE, at, float(bound[at]), "voltage", name, upper=upper)
        for at, name in enumerate(grid.bus_ids)
        if at != grid.source
        for bound, upper in ((grid.min_pu, False), (grid.max_pu, True))
    ]
    return [*ratings, *bands]


def _scales(every: list[_Limit], bound: FloatArray, baseline: FloatArray) -> FloatArray:
    """Voltages are measured in hundredths, all else relative to the bound (or, for a bound of 0, to the baseline)."""
    scales = []
    for at, limit in enumerate(every):
        finite = np.abs(bound[np.isfinite(bound[:, at]), at])
        typical = max(finite.max(initial=0.0), np.abs(baseline[:, limit.quantity]).max(initial=0.0) / 100, 1e-3)
        scales.append(_VOLTAGE_SCALE if limit.kind == "voltage" else typical)
    return np.array(scales)


def _wholes(every: list[_Limit]) -> IntArray:
    names = [(limit.request and limit.request.id, limit.kind, limit.element, limit.upper) for limit in every]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], dtype=np.intp)


def _max_price(request: FlexRequest | None) -> float:
    if request is None or request.max_price_eur_per_mwh is None:
        return np.inf
    return float(request.max_price_eur_per_mwh)
