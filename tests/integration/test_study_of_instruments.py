"""Every instrument on the same evening: a tariff synchronises, and what is done is not done again."""

from pathlib import Path

import pytest

from market.figures.study import Row, Study
from market.figures.study_findings import findings
from market.figures.study_page import write_study_report
from market.figures.study_report import instruments_page, read_study
from market.simulation import SCENARIOS
from market.simulation.scenario import Scenario, read_scenario
from market.simulation.studies.cells import Cell, CellOutcome, run_cell
from market.simulation.studies.folder import write_timing
from market.simulation.studies.instruments import read_catalogue
from market.simulation.studies.pieces import run_pieces
from market.simulation.studies.study import cells_of, write_tables
from market.simulation.sweep.executors import Failure, InProcess

CATALOGUE = """
[instruments.dumb]
title = "Dumb charging"
dso.asks = false
aggregators.charging = "on_arrival"

[instruments.time-of-use]
title = "Time-of-use tariff"
dso.asks = false
aggregators.charging = "planned"
[[instruments.time-of-use.tariffs.network.components]]
name = "energy"
kind = "energy"
price_eur_per_mwh = 60
[[instruments.time-of-use.tariffs.network.components.bands]]
price_eur_per_mwh = 10
windows = [{ start = "19:30", end = "24:00" }]
"""
HOMES = ("oest-01", "oest-04", "oest-07", "oest-10", "oest-13", "oest-14")


def evening() -> Scenario:
    """Six homes from 17:30 to 20:30: all come before 19:30, each wants 4 kWh, which 11 kW give in 22 minutes."""
    night = read_scenario(SCENARIOS / "risoe-homes.toml")
    said = {"arrives_h": 18.5, "arrives_std_h": 0.4, "departs_h": 7.0, "energy_kwh": 4, "presence": 1.0}
    homes = night.agents["homes"].config
    site = {**homes["sites"][0], "buses": list(HOMES), "sessions": said}
    agents = {**night.agents, "homes": night.agents["homes"].model_copy(update={"config": {**homes, "sites": [site]}})}
    delivery = {"start": "2026-01-15T17:30+01:00", "resolution": "PT15M", "count": 12}
    times = {"begins": "2026-01-15T13:00+01:00", "gate_closure": "2026-01-15T15:00+01:00", "delivery": delivery}
    return Scenario.model_validate({**night.model_dump(), **times, "agents": agents})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of the evening: under both instruments, and before anybody has a vehicle."""
    path = tmp_path_factory.mktemp("study")
    file = path / "own.toml"
    file.write_text(CATALOGUE)
    catalogue, scenario = read_catalogue(file), evening()
    cells = (
        *cells_of(scenario, catalogue, ("dumb",), (0.0,)),
        *cells_of(scenario, catalogue, tuple(catalogue.instruments), (1.0,)),
    )
    outcomes = run_pieces(cells, run_cell, CellOutcome, folder=path, executor=InProcess(), told=_must_succeed)
    write_tables(outcomes, catalogue, scenario, path)
    write_timing(path, outcomes)
    return path


@pytest.fixture(scope="module")
def study(folder: Path) -> Study:
    return read_study(folder)


def one(row: Row, figure: str) -> float:
    """A figure of a study with one seed."""
    (value,) = row.figures[figure].values
    return value


def _must_succeed(_: Cell, came: CellOutcome | Failure) -> None:
    assert isinstance(came, CellOutcome), str(came)


def test_a_time_of_use_tariff_makes_those_start_together_who_came_one_after_another(study: Study) -> None:
    """Charging on arrival takes a part of the spread of arrivals, so few overlap; everyone waits for 19:30 instead."""
    dumb, tou = study.at(1.0)
    assert [dumb.instrument, tou.instrument] == ["dumb", "time-of-use"]

    assert tou.peak_at == "19:35", "the cheap band begins at 19:30, and vehicles take a moment to follow"
    waiting = [w for start, w in zip(tou.starts, tou.fleet_w, strict=True) if f"{start:%H:%M}" < "19:30"]
    assert max(waiting) == 0.0
    assert one(tou, "fleet_peak_w") > one(dumb, "fleet_peak_w")
    assert one(tou, "synchronisation") == pytest.approx(1.0, abs=0.15), "nearly all plugs at full power"
    assert one(dumb, "asked_kwh") == one(tou, "asked_kwh") == 6 * 4, "the same drivers"


def test_bills_are_the_energy_at_the_price_of_its_time(study: Study) -> None:
    """60 EUR/MWh on arrival, 10 EUR/MWh where all wait for it; what energy itself costs, 130 EUR/MWh, on top."""
    for each, price in zip(study.at(1.0), (0.060, 0.010), strict=True):
        drawn_kwh = one(each, "drawn_kwh")
        assert drawn_kwh == pytest.approx(6 * 4, rel=0.1)
        assert one(each, "tariff_income_eur") == pytest.approx(price * drawn_kwh, rel=0.01)
        assert one(each, "drivers_bill_eur") == pytest.approx((price + 0.130) * drawn_kwh, rel=0.01)
        assert one(each, "dso_contracts_eur") == one(each, "dso_flexibility_eur") == 0.0


def test_before_anybody_has_a_vehicle_the_network_carries_its_homes(study: Study) -> None:
    (nobody,) = study.at(0.0)
    assert one(nobody, "asked_kwh") == one(nobody, "fleet_peak_w") == one(nobody, "tariff_income_eur") == 0
    assert one(nobody, "peak_w") > 0
    assert not nobody.figures["over_dumb"].values


def test_what_is_done_is_not_done_again_unless_the_scenario_is_another(folder: Path) -> None:
    cells = cells_of(evening(), read_catalogue(folder / "own.toml"), ("dumb",), (1.0,))
    ran: list[Cell] = []

    def told(cell: Cell, _: CellOutcome | Failure) -> None:
        ran.append(cell)

    (before,) = run_pieces(cells, run_cell, CellOutcome, folder=folder, executor=InProcess(), told=told)
    assert before.key == cells[0].key
    assert ran == list(cells)

    other = Cell("dumb", 1.0, None, evening().model_copy(update={"seed": 1}))
    assert other.key != before.key


def test_the_report_holds_every_cell_and_says_what_was_found(folder: Path, study: Study) -> None:
    text = write_study_report(folder, instruments_page(folder)).read_text(encoding="utf-8")

    assert findings(study)[0] in text
    assert "Dumb charging" in text
    assert text.count("<tbody>") == 3 + 2, "peaks over penetration, and two penetrations"


def test_profiles_are_of_every_day_and_hold_the_peak(folder: Path) -> None:
    """Three hours on each of two evenings, in steps of five minutes; the highest of all is the peak measured."""
    (cell,) = cells_of(evening().model_copy(update={"days": 2}), read_catalogue(folder / "own.toml"), ("dumb",), (1.0,))
    came = run_cell(cell)

    assert len(came.starts) == len(came.fleet_w) == len(came.nominated_w) == 2 * 36
    assert (came.starts[0], came.starts[36]) == ("2026-01-15T16:30:00+00:00", "2026-01-16T16:30:00+00:00")
    assert max(came.fleet_w) == pytest.approx(came.measures.fleet_peak_w, abs=0.1)
    first, second = came.fleet_w[:36], came.fleet_w[36:]
    assert min(max(first), max(second)) > 0
    assert first != second, "others come at other times"
