"""Which product fits what was found."""

from decimal import Decimal

import pytest

from dso_agents.congestion import likely_congestion
from dso_agents.kinds import Aims, Choice, Exchange, choices
from dso_agents.likely import LikelyDay
from dso_agents.requests import Asking
from dso_agents.risk import Risk
from tests.unit.dso_agents.days_on_a_street import likely
from tests.unit.dso_agents.street import VOLT_AMPS_PER_AMP

RISK = Risk(probability=0.1)
EVENINGS = tuple((58.0 + 5 * at, -20.0) for at in range(9))


def chosen(day: LikelyDay, aims: Aims) -> tuple[Choice, ...]:
    return choices(likely_congestion(day, risk=RISK), day, aims=aims, asking=Asking(shoulder=0), risk=RISK)


def test_a_current_above_a_rating_asks_for_congestion_and_says_why() -> None:
    (choice,) = chosen(likely(*EVENINGS, chargers_a=(10, 0)), Aims())

    assert choice.terms.kind == "congestion"
    assert choice.because.startswith("cable: 88 A expected at 17:00 UTC of 100 A, above its rating with 22%")


def test_what_was_agreed_in_watts_is_asked_in_watts_and_by_direction() -> None:
    """78 A expected, 98 A at worst: of 80 A agreed 60 may be planned. Then 20 A of export against 10 A.

    In the first hour the load may be 20 A lower than expected, more than the 10 A of export: none may be planned.
    """
    agreed = Exchange(import_limit_w=80 * VOLT_AMPS_PER_AMP, export_limit_w=10 * VOLT_AMPS_PER_AMP)
    aims = Aims(exchange={"cable": agreed})

    (choice,) = chosen(likely(*EVENINGS, watched=("cable",)), aims)

    assert choice.terms.kind == "capacity"
    assert choice.terms.import_limit_w == pytest.approx([60 * VOLT_AMPS_PER_AMP, 80 * VOLT_AMPS_PER_AMP], rel=0.001)
    assert choice.terms.export_limit_w == pytest.approx([0, 10 * VOLT_AMPS_PER_AMP], rel=0.001)
    assert choice.terms.active == (True, True)


def test_an_exchange_within_what_was_agreed_asks_for_nothing() -> None:
    aims = Aims(exchange={"cable": Exchange(import_limit_w=110 * VOLT_AMPS_PER_AMP, limit_var=1000)})

    assert chosen(likely(*EVENINGS, watched=("cable",)), aims) == ()


def test_losses_are_priced_only_where_the_dso_pays_for_them() -> None:
    (choice,) = chosen(likely((10.0, 10.0), (12.0, 10.0)), Aims(losses_eur_per_mwh=Decimal(90)))

    assert choice.terms.kind == "losses"
    assert choice.terms.price_eur_per_mwh == 90
