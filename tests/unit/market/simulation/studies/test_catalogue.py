"""Instruments as what they change in a scenario."""

from pathlib import Path

import pytest

from market.simulation import SCENARIOS
from market.simulation.scenario import BadScenario, read_scenario
from market.simulation.studies.instruments import Instrument, at_penetration, merged, on, read_catalogue
from market.simulation.studies.pieces import named
from market.simulation.studies.study import cells_of, shares

NIGHT = read_scenario(SCENARIOS / "risoe-homes.toml")
SHIPPED = read_catalogue()


@pytest.mark.parametrize("name", SHIPPED.instruments)
def test_every_shipped_instrument_goes_with_the_shipped_night(name: str) -> None:
    under = on(NIGHT, SHIPPED.instrument(name))

    assert under.delivery == NIGHT.delivery
    assert under.agents["homes"].config["sites"] == NIGHT.agents["homes"].config["sites"], "the same drivers"
    assert under.agents["homes"].config["seed"] == NIGHT.agents["homes"].config["seed"]
    assert under.agents["homes"].config["tariff"] in under.tariffs


def test_what_is_combined_comes_first_and_the_instrument_itself_last() -> None:
    both = SHIPPED.instrument("time-of-use-market")

    assert both.aggregators["charging"] == "offered", "of the market, which comes after the tariff"
    assert both.tariffs == SHIPPED.instruments["time-of-use"].tariffs


def test_tables_are_merged_and_everything_else_is_replaced() -> None:
    below = {"asking": {"shoulder": 4, "price": 800}, "list": [1, 2]}
    assert merged(below, {"asking": {"price": 100}, "list": [3]}) == {
        "asking": {"shoulder": 4, "price": 100},
        "list": [3],
    }


def test_a_catalogue_that_combines_what_is_not_above_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[instruments.one]\ntitle = "One"\ncombines = ["two"]\n[instruments.two]\ntitle = "Two"\n')
    with pytest.raises(BadScenario, match=r'instruments\.one\.combines\.0: no instrument "two" above it'):
        read_catalogue(file)


def test_an_instrument_that_breaks_the_scenario_is_refused_with_its_title() -> None:
    own = Instrument.model_validate({"title": "Broken", "product": {"pricing": "guessed"}})
    with pytest.raises(BadScenario, match="Broken: pricing"):
        on(NIGHT, own)


def test_without_homes_there_is_no_share_of_them() -> None:
    lot = NIGHT.agents["homes"].model_copy(update={"config": {"sites": [{"file": "risoe", "sessions": {}}]}})
    only = NIGHT.model_copy(update={"agents": {**NIGHT.agents, "homes": lot}})
    with pytest.raises(BadScenario, match="no aggregator has sites at `buses`"):
        at_penetration(only, 0.5)


def test_cells_are_every_instrument_at_every_penetration_once() -> None:
    cells = cells_of(NIGHT, SHIPPED, ("dumb", "time-of-use"), (1.0, 0.5, 0.5))

    assert [each.place for each in cells] == [
        ("dumb", 0.5, None),
        ("time-of-use", 0.5, None),
        ("dumb", 1.0, None),
        ("time-of-use", 1.0, None),
    ]
    assert len({each.key for each in cells}) == 4
    assert cells[0].scenario.agents["homes"].config["sites"][0]["adoption"] == 0.5


def test_lists_of_the_command_line() -> None:
    assert shares("0, 12.5,100") == (0.0, 0.125, 1.0)
    assert named("time-of-use, dumb", SHIPPED.instruments, "instrument") == ("dumb", "time-of-use")
    assert named(None, SHIPPED.instruments, "instrument") == tuple(SHIPPED.instruments)
    for bad in ("120", "a few"):
        with pytest.raises(BadScenario):
            shares(bad)
    with pytest.raises(BadScenario, match='no instrument "magic"; there are dumb, dimming'):
        named("dumb,magic", SHIPPED.instruments, "instrument")
