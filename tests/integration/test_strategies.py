"""One game of a study of strategies, simulated on a small night, and looked at by the platform's monitoring."""

from decimal import Decimal
from pathlib import Path

import pytest

from market.simulation.scenario import Scenario, read_scenario
from market.simulation.studies.playing import run_game
from market.simulation.studies.strategies import games_of, read_plays

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

    assert came.nominated == 4, "every home is looked at"
    assert came.energy_eur == pytest.approx(0.1 * came.measures.drawn_kwh, rel=0.02), "100 EUR/MWh for all"
    assert came.measures.drawn_kwh > 10
    assert (came.paid_eur, came.flagged, came.wrongly_flagged) == (0, False, 0), "nothing is congested, nothing sold"
