"""What a clearing answers, as one document: the result file `flexmarket-result/1`."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from api_spec.award import OfferResult
from api_spec.grid import Phase
from api_spec.ids import BusId, Identifier, RequestId
from api_spec.units import Count, EurPerMwh, Message, Money, NonNegative, Real

Status: TypeAlias = Literal["cleared", "partly_cleared", "nothing_needed"]
LimitKind: TypeAlias = Literal["congestion", "capacity", "voltage", "unbalance", "reactive", "power"]
Unit: TypeAlias = Literal["A", "W", "var", "pu"]
Prices: TypeAlias = tuple[EurPerMwh, ...]


class PriceParts(Message):
    """The nodal price (DLMP) per period [EUR/MWh] and its parts, which add up to it exactly."""

    total: Prices
    energy: Prices
    losses: Prices
    congestion: Prices
    voltage: Prices
    unbalance: Prices


class LimitResult(Message):
    """A limit that was broken before, binds after, or stays unmet, in one period.

    request : the request that set it; null for the network's own limit. element : line, transformer or bus, or
    "source". shadow_price : saved per hour by relaxing the limit by one unit [EUR/h per A, W, var or pu]. unmet : what
    is missing at the end, in the limit's unit.
    """

    request: RequestId | None
    kind: LimitKind
    element: Identifier
    period: Count
    before: Real
    after: Real
    limit: Real
    unit: Unit
    shadow_price: NonNegative
    unmet: NonNegative


class Verification(Message):
    """What an independent power flow says of the published dispatch.

    max_violation_pu : worst breach of a limit, voltages in pu and others relative to the limit. mismatch_w : worst
    power mismatch of the published state.
    """

    engine: str
    max_violation_pu: NonNegative
    mismatch_w: NonNegative
    iterations: Count


class SolverRecord(Message):
    """Versions used and seconds spent."""

    versions: dict[str, str]
    seconds: dict[str, NonNegative]


class Result(Message):
    """The outcome of one clearing; lists and objects in the order of ids."""

    format: Literal["flexmarket-result/1"] = "flexmarket-result/1"
    case: str
    input_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    status: Status
    cost_eur: Money
    offers: tuple[OfferResult, ...]
    prices_eur_per_mwh: dict[BusId, PriceParts | dict[Phase, PriceParts]]
    limits: tuple[LimitResult, ...]
    verification: Verification
    solver: SolverRecord
