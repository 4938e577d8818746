"""One game of a study of strategies, simulated on a small night, and looked at by the platform's monitoring."""

import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from api_spec.metering import Calendar
from market.simulation.run import simulate
from market.simulation.scenario import Scenario, read_scenario
from market.simulation.studies.playing import run_game
from market.simulation.studies.strategies import games_of, read_plays
from market.simulation.world import DATABASE
from market.store import UnitOfWork, open_engine

EXAMPLES = Path(__file__).parents[2] / "examples" / "lab"


def small() -> Scenario:
    """Two hours of four homes that draw 20 kWh each from 17:00 on, and energy at 100 EUR/MWh."""
    whole = read_scenario(EXAMPLES / "four-homes.toml")
    delivery = whole.delivery.model_copy(update={"count": 8})
    supply = whole.supply.model_copy(update={"cost_eur_per_mwh": 100.0})
    product = whole.product.model_copy(update={"penalty_eur_per_mwh": Decimal(100)})
    return whole.model_copy(update={"delivery": delivery, "supply": supply, "product": product})


def test_a_game_says_what_its_player_paid_and_what_was_noticed() -> None:
    (_, inflated) = games_of(small(), read_plays(), designs=["dlmp"], strategies=["inflated-baseline"])
    came = run_game(inflated)

    assert came.noticed.nominated == 4, "every home is looked at"
    assert came.energy_eur == pytest.approx(0.1 * came.measures.drawn_kwh, rel=0.02), "100 EUR/MWh for all"
    assert came.measures.drawn_kwh > 10
    assert came.paid_eur == 0, "nothing is congested, nothing sold"
    assert (came.noticed.flagged, came.noticed.wrongly_flagged) == (False, 0)


def test_air_is_paid_for_and_one_evening_is_too_little_to_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The DSO buys a cap of the evening; half as much again is nominated, and the difference sold at 5 EUR/MWh.

    It is delivered by doing nothing, so the player is paid more and draws as it would have done. The monitoring
    names nobody for less than ten deliveries.
    """
    monkeypatch.setattr(sys, "path", list(sys.path))
    document = read_scenario(EXAMPLES / "evening.toml").model_dump() | {"tariffs": {}}
    del document["agents"]["homes"]["config"]["tariff"]  # under which nobody charges in the evening
    games = games_of(
        Scenario.model_validate(document),
        read_plays(),
        player="homes",
        designs=["dlmp"],
        strategies=["inflated-baseline"],
    )
    honest, inflated = map(run_game, games)

    assert inflated.flexible_kwh > honest.flexible_kwh
    assert inflated.margin_eur > honest.margin_eur
    assert inflated.measures.dso_flexibility_eur > honest.measures.dso_flexibility_eur, "the DSO pays for it"
    assert inflated.measures.unmet_kwh <= honest.measures.unmet_kwh + 0.1, "no driver waits for it"
    assert not inflated.noticed.flagged


async def test_who_cannot_be_measured_yet_offers_nothing_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The DSO asks, by like days of which there are none yet: nobody offers, vehicles are charged all the same.

    The calendar under which days are alike is the scenario's.
    """
    monkeypatch.setattr(sys, "path", list(sys.path))
    document = read_scenario(EXAMPLES / "evening.toml").model_dump()
    document["tariffs"], document["delivery"]["count"] = {}, 24
    del document["agents"]["homes"]["config"]["tariff"]  # under which nobody charges in the evening
    document["product"]["baseline"] = "mid_8_of_10"
    document["calendar"] = Calendar(zone="Europe/Copenhagen", holidays=frozenset({date(2026, 1, 15)}))
    del document["agents"]["pool"]  # which is nobody's but the example's

    finished = await simulate(Scenario.model_validate(document), folder=tmp_path)

    assert finished.last.case.requests
    assert finished.last.case.offers == ()
    assert finished.measures.drawn_kwh > 0
    with UnitOfWork(open_engine(f"sqlite:///{tmp_path / DATABASE}")) as work:
        assert work.meters.calendar("risoe") == document["calendar"]
