"""From congestion to what the DSO asks the market for. Pure."""

from collections import defaultdict
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from api_spec.flexibility import AnyRequestTerms, CongestionTerms, LimitSeries, VoltageTerms
from api_spec.units import EurPerMwh, Message
from dso_agents.congestion import Congestion


class Asking(Message):
    """How the DSO asks.

    max_price_eur_per_mwh : the most that one limit may add to the price of any bus. shoulder : periods before and
    after a congested one in which the limit holds as well, so that what was shifted away does not break it there.
    """

    max_price_eur_per_mwh: Annotated[EurPerMwh, Field(ge=0)] = Decimal(1000)
    shoulder: Annotated[int, Field(strict=True, ge=0, le=96)] = 4


def requests(congested: Congestion, asking: Asking) -> tuple[AnyRequestTerms, ...]:
    """One congestion request per overloaded element, one voltage request per band that is left."""
    price = asking.max_price_eur_per_mwh
    asked: list[AnyRequestTerms] = [
        CongestionTerms(
            kind="congestion",
            element=overload.element,
            limit_a=_one_or_all(overload.limit_a),
            max_price_eur_per_mwh=price,
            active=widened(overload.affected, asking.shoulder),
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
                active=widened(affected, asking.shoulder),
            )
        )
    return tuple(asked)


def widened(affected: tuple[bool, ...], shoulder: int) -> tuple[bool, ...]:
    """Also the `shoulder` periods before and after every affected one."""
    return tuple(any(affected[max(0, at - shoulder) : at + shoulder + 1]) for at in range(len(affected)))


def _one_or_all(limit_a: tuple[float, ...]) -> LimitSeries:
    """A limit that never changes as one number."""
    return limit_a[0] if len(set(limit_a)) == 1 else tuple(round(each, 3) for each in limit_a)
