"""Which cells a study of instruments runs, and how it compares them over penetration and over seeds."""

from pathlib import Path

import pytest

from market.figures.study import Spread, Study
from market.figures.study_charts import growth
from market.figures.study_findings import findings
from market.figures.study_report import instruments_page, read_study
from market.simulation import SCENARIOS
from market.simulation.measures import Measures
from market.simulation.scenario import BadScenario, Scenario, read_scenario
from market.simulation.studies.cells import CellOutcome
from market.simulation.studies.folder import write_timing
from market.simulation.studies.instruments import read_catalogue, seeded, unanswered
from market.simulation.studies.study import cells_of, measures_table, seeds_of, write_tables


@pytest.fixture(scope="module")
def night() -> Scenario:
    return read_scenario(SCENARIOS / "risoe-homes.toml")


def came(instrument: str, penetration: float, seed: int | None, peak_w: float, *, at: int = 0) -> CellOutcome:
    """A cell of which nothing is known but the fleet's peak, in the first or the second five minutes after 18:00."""
    drawn = [0.0, 0.0]
    drawn[at] = peak_w
    return CellOutcome(
        instrument=instrument,
        penetration=penetration,
        seed=seed,
        key="k",
        seconds=1,
        measures=Measures(**dict.fromkeys(Measures.model_fields, 0.0) | {"fleet_peak_w": peak_w}),
        starts=("2026-01-15T17:00:00+00:00", "2026-01-15T17:05:00+00:00"),
        fleet_w=tuple(drawn),
        nominated_w=(0.0, 0.0),
        source_w=(0.0, 0.0),
    )


SEVERAL = [
    *(came(name, 0.0, seed, 0.0) for seed in (1, 2) for name in ("dumb", "time-of-use", "capacity")),
    came("dumb", 1.0, 1, 10e3),
    came("dumb", 1.0, 2, 20e3, at=1),
    came("time-of-use", 1.0, 1, 20e3),
    came("time-of-use", 1.0, 2, 30e3),
    came("capacity", 1.0, 1, 5e3),
    came("capacity", 1.0, 2, 15e3),
]


@pytest.fixture
def folder(night: Scenario, tmp_path: Path) -> Path:
    write_tables(SEVERAL, read_catalogue(), night, tmp_path)
    write_timing(tmp_path, SEVERAL)
    return tmp_path


@pytest.fixture
def study(folder: Path) -> Study:
    return read_study(folder)


def test_a_number_of_seeds_begins_at_one_and_a_list_says_which() -> None:
    assert seeds_of(None) == (None,)
    assert seeds_of("3") == (1, 2, 3)
    assert seeds_of("7,11,7") == (7, 11)
    assert seeds_of("7,") == (7,)
    for wrong in ("0", "-1,2", "a", "", "4294967296,1", "100000"):
        with pytest.raises(BadScenario, match="seeds"):
            seeds_of(wrong)


def test_a_seed_is_that_of_the_scenario_and_of_every_agent_that_has_one(night: Scenario) -> None:
    own = seeded(night, 3)

    assert own.seed == own.agents["homes"].config["seed"] == 3
    assert own.agents["grid"] == night.agents["grid"], "the DSO's agent draws nothing"


def test_every_cell_is_run_under_every_seed_and_a_whole_seed_comes_first(night: Scenario) -> None:
    cells = cells_of(night, read_catalogue(), ("dumb", "capacity"), (1.0, 0.5), seeds=(1, 2))

    assert [each.place for each in cells][:5] == [
        ("dumb", 0.5, 1),
        ("capacity", 0.5, 1),
        ("dumb", 1.0, 1),
        ("capacity", 1.0, 1),
        ("dumb", 0.5, 2),
    ]
    assert len({each.key for each in cells}) == len({each.file(Path()) for each in cells}) == 8


def test_who_does_not_answer_charges_on_arrival_under_every_tariff(night: Scenario) -> None:
    catalogue = unanswered(read_catalogue())
    (cell,) = cells_of(night, catalogue, ("time-of-use-market",), (1.0,))

    assert cell.scenario.agents["homes"].config["charging"] == "on_arrival"
    assert cell.scenario.tariffs == read_catalogue().instrument("time-of-use").tariffs
    assert cell.scenario.agents["grid"].config["asks"] is True


def test_peaks_are_compared_with_those_of_the_same_drivers(study: Study) -> None:
    """Over dumb charging 20 / 10 and 30 / 20: 1.75 in the mean, and not 25 / 15. Avoided 1 - 5 / 20 and 1 - 15 / 30."""
    assert study.spread("time-of-use", 1.0, "over_dumb").values == (2.0, 1.5)
    assert study.spread("time-of-use", 1.0, "over_dumb").mean == 1.75
    assert study.spread("capacity", 1.0, "avoided").values == (0.75, 0.5)


def test_a_spread_is_the_sample_s_standard_deviation() -> None:
    """Of 10, 20 and 30 kW: squares of deviations sum up to 200, over two, root: 10."""
    assert Spread((10e3, 20e3, 30e3)).text(",.1f", per_unit=1e3) == "20.0 ± 10.0"
    assert Spread((10e3,)).text(",.1f", per_unit=1e3) == "10.0"
    assert Spread(()).text(",.1f") == ""


def test_where_nobody_drives_there_is_no_ratio(folder: Path, study: Study) -> None:
    table = measures_table(SEVERAL)
    assert table["over_dumb"].null_count == table["avoided"].null_count == 6

    peaks, ratios, avoided = instruments_page(folder).tables[:3]
    assert peaks.lines[1] == ("Time-of-use tariff", "0 ± 0", "25 ± 7")
    assert ratios.lines[1] == ("Time-of-use tariff", "-", "1.75 ± 0.35")
    assert avoided.lines[2] == ("Capacity tariff", "-", "62% ± 18%")
    assert [row.peak_at for row in study.at(0.0)] == ["", "", ""]

    lines = {line.name: line for line in growth(study, "over_dumb", 1.0, "").data}
    assert list(lines["Time-of-use tariff"].y)[1] == 1.75
    assert list(lines["Time-of-use tariff"].error_y.array) == pytest.approx([0.0, 0.3536], abs=1e-4)


def test_findings_are_of_the_highest_penetration(study: Study) -> None:
    assert findings(study) == (
        "At 100% penetration, fleets under the time-of-use tariff draw up to 25 ± 7 kW (18:00), 1.75 ± 0.35 times the "
        "15 ± 7 kW of dumb charging (18:00 to 18:05).",
        "Mean ± standard deviation over 2 seeds: drivers who come at other times, for other energy.",
    )
