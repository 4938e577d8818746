"""Which kind of product fits what was found, and why. Pure.

| what leaves its limit              | kind         | because                                                         |
|------------------------------------|--------------|-----------------------------------------------------------------|
| a current, of a rating             | `congestion` | heat follows current: active and reactive offers both count     |
| a voltage, of its band             | `voltage`    | every place counts by what it does to that voltage              |
| active power agreed at an exchange | `capacity`   | what was agreed is in watts and has a direction                 |
| reactive power agreed there        | `reactive`   | what was agreed is in var, whatever the current                 |
| unbalance of three phases          | `unbalance`  | moving power between phases helps where less of it would not    |
| nothing, but losses cost money     | `losses`     | offers that ask for less than they save are worth their price   |

A `power` request would fix how much and where before any offer is known; clearing finds both from limits, for less.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import numpy as np
from pydantic import Field

from api_spec.flexibility import (
    AnyRequestTerms,
    CapacityTerms,
    LossesTerms,
    ReactiveTerms,
    UnbalanceTerms,
)
from api_spec.ids import ElementId
from api_spec.units import EurPerMwh, Fraction, Message, NonNegative
from dso_agents.congestion import Congestion, Overload, VoltageViolation
from dso_agents.likely import LikelyDay
from dso_agents.requests import Asking, limits, priced, widened
from dso_agents.risk import Risk, Tightened, tightened
from market.network.model import FloatArray


class Exchange(Message):
    """What was agreed for an element, at its from side: most import and export [W], most reactive power [var]."""

    import_limit_w: NonNegative | None = None
    export_limit_w: NonNegative | None = None
    limit_var: NonNegative | None = None


class Aims(Message):
    """What a DSO asks for beside the ratings and bands of its network.

    exchange : agreed with the grid above or a neighbour, by element. max_vuf : largest voltage unbalance |V2|/|V1|, 2 %
    in EN 50160. losses_eur_per_mwh : what a MWh of losses costs it; absent = they are not counted.
    """

    exchange: dict[ElementId, Exchange] = Field(default_factory=dict)
    max_vuf: Fraction | None = None
    losses_eur_per_mwh: Annotated[EurPerMwh, Field(ge=0)] | None = None


@dataclass(frozen=True)
class Choice:
    """What is asked, of the kind that fits, and why."""

    terms: AnyRequestTerms
    because: str

    @property
    def about(self) -> str:
        """The element, or the buses; nothing where it is the whole network."""
        buses = getattr(self.terms, "buses", "")
        return str(getattr(self.terms, "element", buses if isinstance(buses, str) else ", ".join(buses)))


@dataclass(frozen=True)
class Asked:
    """A request that was posted, for the record."""

    auction: str
    asked_at: datetime
    kind: str
    about: str
    because: str


def choices(found: Congestion, day: LikelyDay, *, aims: Aims, asking: Asking, risk: Risk) -> tuple[Choice, ...]:
    """Every request that fits what was found, each with its reason; losses last.

    day : with the elements of `aims.exchange` watched.
    """
    return (
        *(
            _of_limits(terms, part, day)
            for part, price in priced(found, asking)
            for terms in limits(part, price, shoulder=asking.shoulder)
        ),
        *_of_exchange(day, aims, asking, risk),
        *_of_unbalance(day, aims, asking, risk),
        *_of_losses(aims),
    )


def _of_limits(terms: AnyRequestTerms, found: Congestion, day: LikelyDay) -> Choice:
    if terms.kind == "congestion":
        overload = next(each for each in found.overloads if each.element == terms.element)
        return Choice(terms, _overload_reason(overload, day))
    buses = [each for each in found.violations if terms.kind == "voltage" and each.bus in terms.buses]
    return Choice(terms, _voltage_reason(buses, day))


def _overload_reason(overload: Overload, day: LikelyDay) -> str:
    at = overload.worst
    chance = ""
    if overload.chance is not None:
        likely = f"above its rating with {overload.chance.probability[at]:.0%}"
        chance = f", {likely}: {overload.limit_a[at]:.0f} A may be planned"
    return (
        f"{overload.element}: {overload.current_a[at]:.0f} A expected at {_clock(day, at)} of {overload.rating_a:.0f} A"
        f"{chance}; a limit of current lets every offer that lowers it count, active or reactive"
    )


def _voltage_reason(violations: Sequence[VoltageViolation], day: LikelyDay) -> str:
    worst = max(violations, key=lambda each: _beyond(each, each.worst))
    at = worst.worst
    chance = "" if worst.chance is None else f", outside its band with {worst.chance.probability[at]:.0%}"
    others = f" and {len(violations) - 1} more" if len(violations) > 1 else ""
    return (
        f"{worst.bus}{others}: {worst.voltage_pu[at]:.4f} pu expected at {_clock(day, at)}{chance}; "
        "a band of voltage weighs every place by what it does there"
    )


def _beyond(violation: VoltageViolation, at: int) -> float:
    voltage = violation.voltage_pu[at]
    return max(violation.min_pu - voltage, voltage - violation.max_pu)


def _of_exchange(day: LikelyDay, aims: Aims, asking: Asking, risk: Risk) -> Iterator[Choice]:
    for element, agreed in sorted(aims.exchange.items()):
        at = day.watched.index(element)
        active, active_s = day.expected.active_w[0, :, at], day.scenarios.active_w[:, :, at]
        reactive = np.abs(day.expected.reactive_var[0, :, at])
        reactive_s = np.abs(day.scenarios.reactive_var[:, :, at])
        imports = _planned(day, active_s, active, agreed.import_limit_w, risk)
        exports = _planned(day, -active_s, -active, agreed.export_limit_w, risk)
        affected = tuple(np.logical_or(_affected(imports, day), _affected(exports, day)).tolist())
        if any(affected):
            terms = CapacityTerms(
                kind="capacity",
                element=element,
                import_limit_w=_whole(imports),
                export_limit_w=_whole(exports),
                max_price_eur_per_mwh=asking.max_price_eur_per_mwh,
                active=widened(affected, asking.shoulder),
            )
            yield Choice(terms, f"{element}: active power beyond what was agreed with {_most(imports, exports):.0%}")
        bounded = _planned(day, reactive_s, reactive, agreed.limit_var, risk)
        if bounded is not None and any(bounded.affected):
            limit = ReactiveTerms(
                kind="reactive",
                element=element,
                limit_var=_whole(bounded) or 0.0,
                max_price_eur_per_mwh=asking.max_price_eur_per_mwh,
                active=widened(bounded.affected, asking.shoulder),
            )
            yield Choice(limit, f"{element}: reactive power beyond what was agreed with {_most(bounded):.0%}")


def _of_unbalance(day: LikelyDay, aims: Aims, asking: Asking, risk: Risk) -> Iterator[Choice]:
    """One request for all buses that are too unbalanced, at the lowest limit of them."""
    if aims.max_vuf is None or day.grid.phases == 1:
        return
    planned = {
        bus: tightened(
            day.scenarios.unbalance[:, :, at],
            day.expected.unbalance[0, :, at],
            aims.max_vuf,
            risk=risk,
            period_minutes=day.period.hours * 60,
        )
        for at, bus in enumerate(day.grid.bus_ids)
        if at != day.grid.source
    }
    beyond = {bus: each for bus, each in planned.items() if any(each.affected)}
    if not beyond:
        return
    lowest = min(float(each.limit[list(each.affected)].min()) for each in beyond.values())
    affected = tuple(np.logical_or.reduce([each.affected for each in beyond.values()]).tolist())
    terms = UnbalanceTerms(
        kind="unbalance",
        buses=tuple(beyond),
        max_vuf=max(0.0, lowest),
        max_price_eur_per_mwh=asking.max_price_eur_per_mwh,
        active=widened(affected, asking.shoulder),
    )
    yield Choice(terms, f"{len(beyond)} buses beyond {aims.max_vuf:.1%} with {_most(*beyond.values()):.0%}")


def _of_losses(aims: Aims) -> Iterator[Choice]:
    price = aims.losses_eur_per_mwh
    if price is not None:
        terms = LossesTerms(kind="losses", price_eur_per_mwh=price)
        yield Choice(terms, f"losses cost {price:f} EUR/MWh; offers are taken that ask for less than they save")


def _planned(
    day: LikelyDay, sample: FloatArray, expected: FloatArray, bound: float | None, risk: Risk
) -> Tightened | None:
    if bound is None:
        return None
    return tightened(sample, expected, bound, risk=risk, period_minutes=day.period.hours * 60)


def _affected(planned: Tightened | None, day: LikelyDay) -> tuple[bool, ...]:
    return (False,) * day.period.count if planned is None else planned.affected


def _whole(planned: Tightened | None) -> float | tuple[float, ...] | None:
    """A limit in whole watts or var, one number where it never changes."""
    if planned is None:
        return None
    limits = tuple(np.maximum(np.floor(planned.limit), 0.0).tolist())
    return limits[0] if len(set(limits)) == 1 else limits


def _most(*planned: Tightened | None) -> float:
    """The highest probability of leaving a bound."""
    return max(float(each.probability.max()) for each in planned if each is not None)


def _clock(day: LikelyDay, at: int) -> str:
    return f"{day.period.starts()[at]:%H:%M} UTC"
