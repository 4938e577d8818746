"""A study of strategies: what is run, and how games are compared."""

from pathlib import Path

import pytest

from market.figures.strategies import COLUMNS, Strategies, strategies_page, strategy_charts
from market.figures.study_page import write_study_report
from market.simulation import SCENARIOS
from market.simulation.measures import Measures
from market.simulation.scenario import BadScenario, Scenario, read_scenario
from market.simulation.studies.monitoring import Noticed
from market.simulation.studies.playing import Played, strategies_table, write_strategies
from market.simulation.studies.strategies import Play, Plays, games_of, read_plays

PLAYS = read_plays()


@pytest.fixture(scope="module")
def rivals() -> Scenario:
    return read_scenario(SCENARIOS / "risoe-rivals.toml")


def played(
    strategy: str, *, paid: float, energy: float, dso: float, flagged: bool = False, design: str = "dlmp"
) -> Played:
    nothing = dict.fromkeys(Measures.model_fields, 0.0)
    return Played(
        design=design,
        strategy=strategy,
        key="k",
        seconds=1,
        measures=Measures(**nothing | {"dso_flexibility_eur": dso}),
        paid_eur=paid,
        energy_eur=energy,
        rivals_eur=0,
        flexible_kwh=0,
        noticed=Noticed(
            nominated=5,
            overstated=1 if flagged else 0,
            inflation_w=0,
            overstatement=0.3 if flagged else 0,
            pivotal_index=0,
            ask_score=0,
            offer_score=0,
            alike=False,
            flagged=flagged,
            seen_after=11 if flagged else None,
            wrongly_flagged=0,
        ),
    )


def test_every_way_to_play_is_run_under_every_design_and_the_honest_one_always(rivals: Scenario) -> None:
    games = games_of(rivals, PLAYS, designs=["dlmp", "pay-as-bid"], strategies=["less"])

    assert [game.place for game in games] == [
        ("dlmp", "honest"),
        ("dlmp", "less"),
        ("pay-as-bid", "honest"),
        ("pay-as-bid", "less"),
    ]
    assert {game.player for game in games} == {"first"}
    assert games[1].scenario.agents["first"].config["strategies"] == [{"kind": "withholding", "share": 0.5}]
    assert games[2].scenario.product.pricing == "pay_as_bid"
    others = (game.scenario.agents["second"] for game in games)
    assert all(each == rivals.agents["second"] for each in others), "nobody else is touched"
    assert len({game.key for game in games}) == 4


def test_what_cannot_be_played_is_refused_before_anything_is_run(rivals: Scenario) -> None:
    def refused(plays: Plays = PLAYS, *, player: str | None = None, scenario: Scenario = rivals) -> str:
        with pytest.raises(BadScenario) as failure:
            games_of(scenario, plays, player=player, designs=["dlmp"], strategies=list(plays.strategies))
        return str(failure.value)

    def with_play(player: dict[str, object]) -> Plays:
        own = Play(title="Mine", player=({"kind": "withholding"}, player))
        return PLAYS.model_copy(update={"strategies": {**PLAYS.strategies, "mine": own}})

    wrong = PLAYS.designs["dlmp"].model_copy(update={"product": {"pricing": "as_i_like"}})
    assert refused(PLAYS.model_copy(update={"designs": {"dlmp": wrong}})).startswith("designs.dlmp.product.pricing: ")
    assert refused(with_play({"kind": "withholding", "shre": 0.5})) == (
        'strategies.mine.player.1.shre: Extra inputs are not permitted (did you mean "share"?)'
    )
    assert refused(with_play({"kind": "withholding", "share": 2})).startswith("strategies.mine.player.1.share: ")
    assert refused(with_play({"kind": "cheating"})).startswith("strategies.mine.player.1: ")
    assert refused(player="grid") == 'player: no aggregator "grid" in scenario "risoe-rivals"'
    assert '(did you mean "first"?)' in refused(player="fist")
    assert "31 days" in refused(scenario=rivals.model_copy(update={"days": 40}))


def test_the_honest_one_plays_nothing_whatever_the_scenario_says(rivals: Scenario) -> None:
    entry = rivals.agents["first"]
    playing = entry.model_copy(update={"config": entry.config | {"strategies": [{"kind": "withholding"}]}})
    scenario = rivals.model_copy(update={"agents": {**rivals.agents, "first": playing}})

    (honest,) = games_of(scenario, PLAYS, designs=["dlmp"], strategies=[])

    assert honest.scenario.agents == rivals.agents


def test_a_gain_is_over_honesty_under_the_same_design() -> None:
    """Honest: paid 2, energy 10. Played: paid 5, energy 11; 2 EUR more are left, and the DSO pays 3 more."""
    table = strategies_table(
        [
            played("honest", paid=2, energy=10, dso=4),
            played("less", paid=5, energy=11, dso=7),
            played("less", paid=5, energy=11, dso=7, design="uniform"),
        ]
    )

    assert table.select(["design", "strategy", "gain_eur", "dso_more_eur"]).to_pylist() == [
        {"design": "dlmp", "strategy": "honest", "gain_eur": 0, "dso_more_eur": 0},
        {"design": "dlmp", "strategy": "less", "gain_eur": 2, "dso_more_eur": 3},
    ], "without an honest game of its design there is nothing to compare with"


def test_the_report_says_what_earns_and_what_was_seen(rivals: Scenario, tmp_path: Path) -> None:
    games = [
        played("honest", paid=2, energy=10, dso=4),
        played("less", paid=1, energy=10, dso=3),
        played("increase-decrease", paid=6, energy=11, dso=7),
        played("inflated-baseline", paid=8, energy=10, dso=9, flagged=True),
    ]
    write_strategies(games, PLAYS, rivals, "first", tmp_path)
    study = Strategies.at(tmp_path)
    text = write_study_report(tmp_path, strategies_page(tmp_path)).read_text(encoding="utf-8")

    (finding,) = study.findings()
    assert finding == (
        "nodal prices: 2 of 3 ways to play earn more than honesty, at most 6.00 EUR (“nominates half as much again”); "
        "the monitoring names 1, the first after 11 deliveries, and 1 that earn stay unseen."
    )
    seen = next(column for column in COLUMNS if column.heading == "seen by")
    assert [seen.text(row) for row in study.rows] == ["no", "no", "no", "what is drawn"]
    assert finding in text
    bars = {bar.name: list(bar.y) for bar in strategy_charts(study)[0].figures[0].data}
    assert bars["congests to be paid"] == [3.0]
