"""From congestion to what the DSO asks the market for, and what it would pay. Pure.

What stays unmet of a limit costs its price for every unit. Where a limit that is tightened for risk cannot be met in a
whole morning, one price makes the last of the margin in one quarter-hour worth as much as an overload in the next, and
nothing says which to relieve. So such a limit is asked for twice: the rating, where it is expected to be exceeded, at
one price, and the tightened limit at a lower one. An ampere above the rating then costs both, one within the margin
the lower. So do expected overloads: with X the error of the forecast I of a current and R its rating, the slope of
E max(0, I + X - R) by I is P(I + X > R), about a half where I = R, and the accepted probability at the limit.
"""

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field, model_validator

from api_spec.defects import refuse
from api_spec.flexibility import AnyRequestTerms, CongestionTerms, LimitSeries, VoltageTerms
from api_spec.units import PRICE_PLACES, EurPerMwh, Message
from dso_agents.congestion import Congestion

_MARGIN_SHARE: Final = Decimal("0.25")
"""P(I + X > R) is 0.23 on average between the limit and the rating, with a normal error and 5 % accepted."""


class Asking(Message):
    """How the DSO asks.

    max_price_eur_per_mwh : the most that one limit may add to the price of any bus. risk_price_eur_per_mwh : the same
    of a limit that is tightened for risk, beside that of the rating or band itself; absent = a quarter of it. As high
    as the other, only the tightened limit is asked for. shoulder : periods before and after a congested one in which
    the limit holds as well, so that what was shifted away does not break it there.
    """

    max_price_eur_per_mwh: Annotated[EurPerMwh, Field(ge=0)] = Decimal(1000)
    risk_price_eur_per_mwh: Annotated[EurPerMwh, Field(ge=0)] | None = None
    shoulder: Annotated[int, Field(strict=True, ge=0, le=96)] = 4

    @model_validator(mode="after")
    def _risk_is_cheaper(self) -> "Asking":
        if self.margin_price_eur_per_mwh > self.max_price_eur_per_mwh:
            refuse("Asking", [(("risk_price_eur_per_mwh",), "must not be above max_price_eur_per_mwh")])
        return self

    @property
    def margin_price_eur_per_mwh(self) -> Decimal:
        """What a limit that is tightened for risk may add to a price."""
        own = self.risk_price_eur_per_mwh
        return round(self.max_price_eur_per_mwh * _MARGIN_SHARE, PRICE_PLACES) if own is None else own


def requests(congested: Congestion, asking: Asking) -> tuple[AnyRequestTerms, ...]:
    """What is asked for, ratings and bands before margins."""
    return tuple(
        terms for part, price in priced(congested, asking) for terms in limits(part, price, shoulder=asking.shoulder)
    )


def priced(congested: Congestion, asking: Asking) -> Iterator[tuple[Congestion, Decimal]]:
    """What is to be asked for at which price [EUR/MWh]."""
    if asking.margin_price_eur_per_mwh == asking.max_price_eur_per_mwh:
        yield congested, asking.max_price_eur_per_mwh
        return
    yield congested.firm, asking.max_price_eur_per_mwh
    yield congested.margin, asking.margin_price_eur_per_mwh


def limits(congested: Congestion, price: Decimal, *, shoulder: int) -> tuple[AnyRequestTerms, ...]:
    """One congestion request per overloaded element, one voltage request per band that is left."""
    asked: list[AnyRequestTerms] = [
        CongestionTerms(
            kind="congestion",
            element=overload.element,
            limit_a=_one_or_all(overload.limit_a),
            max_price_eur_per_mwh=price,
            active=widened(overload.affected, shoulder),
        )
        for overload in congested.overloads
    ]
    bands = defaultdict(list)
    for violation in congested.violations:
        bands[violation.min_pu, violation.max_pu].append(violation)
    for (min_pu, max_pu), outside in sorted(bands.items()):
        affected = tuple(any(now) for now in zip(*(each.affected for each in outside), strict=True))
        asked.append(
            VoltageTerms(
                kind="voltage",
                buses=tuple(each.bus for each in outside),
                min_pu=min_pu,
                max_pu=max_pu,
                max_price_eur_per_mwh=price,
                active=widened(affected, shoulder),
            )
        )
    return tuple(asked)


def widened(affected: tuple[bool, ...], shoulder: int) -> tuple[bool, ...]:
    """Also the `shoulder` periods before and after every affected one."""
    return tuple(any(affected[max(0, at - shoulder) : at + shoulder + 1]) for at in range(len(affected)))


def _one_or_all(limit_a: tuple[float, ...]) -> LimitSeries:
    """A limit that never changes as one number."""
    return limit_a[0] if len(set(limit_a)) == 1 else tuple(round(each, 3) for each in limit_a)
