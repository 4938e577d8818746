"""Sweeps over a scenario of one household: its runs, and what is refused before anything is run."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from market.network.feeders import feeder
from market.simulation.sweep.axes import Axis
from market.simulation.sweep.plan import Plan, plan_of
from market.simulation.sweep.points import points
from market.simulation.sweep.sweep_file import BadSweep, Sweep
from tests.small_sweep import ENERGY, HEAD, SCENARIO


def planned(folder: Path, text: str, scenario: str = SCENARIO) -> Plan:
    (folder / "evening.toml").write_text(scenario)
    (folder / "sweep.toml").write_text(HEAD + text)
    return plan_of(folder / "sweep.toml")


def refused(folder: Path, text: str) -> str:
    with pytest.raises(BadSweep) as refusal:
        planned(folder, text)
    said = str(refusal.value)
    assert all(line.startswith(f"{folder / 'sweep.toml'}: ") for line in said.splitlines())
    return said.replace(f"{folder / 'sweep.toml'}: ", "")


def test_a_grid_is_every_combination_with_the_last_axis_fastest(tmp_path: Path) -> None:
    """The DSO has no seed and gets none; the aggregator has one by default, and gets that of the run."""
    plan = planned(tmp_path, f"seeds = [7, 8]\n{ENERGY}values = [5, 10.5]")

    assert [dict(run.point) for run in plan.runs] == [
        {"energy_kwh": 5, "seed": 7},
        {"energy_kwh": 5, "seed": 8},
        {"energy_kwh": 10.5, "seed": 7},
        {"energy_kwh": 10.5, "seed": 8},
    ]
    last = tomllib.loads(plan.runs[-1].text)
    assert (last["seed"], last["agents"]["homes"]["config"]["seed"]) == (8, 8)
    assert last["agents"]["homes"]["config"]["sites"][0]["sessions"]["energy_kwh"] == 10.5
    assert "config" not in last["agents"]["grid"]


def test_a_run_is_known_by_what_is_run(tmp_path: Path) -> None:
    """Another name for an axis and another value beside change nothing of what is run; another seed does."""
    first = planned(tmp_path, f"{ENERGY}values = [5, 10]").runs
    again = planned(tmp_path, f"{ENERGY}values = [10, 7, 5]".replace("axes.energy_kwh", "axes.energy")).runs

    assert {run.id for run in first} == {again[0].id, again[2].id}
    other = planned(tmp_path, f"{ENERGY}values = [5, 10]", SCENARIO.replace("seed = 3", "seed = 4")).runs
    assert not {run.id for run in first} & {run.id for run in other}


def test_a_sweep_names_a_scenario_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seeds of `risoe-day` are two runs, from wherever the sweep's file is seen."""
    (tmp_path / "sweep.toml").write_text(HEAD.replace("evening.toml", "risoe-day") + "seeds = [7, 8]\n")
    monkeypatch.chdir(tmp_path)
    for file in (Path("sweep.toml"), tmp_path / "sweep.toml"):
        assert [tomllib.loads(run.text)["name"] for run in plan_of(file).runs] == ["risoe-day"] * 2


def test_another_load_in_the_same_file_is_another_run(tmp_path: Path) -> None:
    on_file = SCENARIO.replace('feeder = "risoe"', 'grid = { file = "risoe.json", load = "load.csv" }')
    (tmp_path / "risoe.json").write_text(feeder("risoe").network.model_dump_json(by_alias=True, exclude_none=True))
    ids = list[str]()
    for power_w in (1000, 1000, 2000):
        times = ("2026-01-15T00:00:00Z", "2026-01-15T12:00:00Z")
        rows = "".join(f"{time},oest-07,{power_w},0\n" for time in times)
        (tmp_path / "load.csv").write_text(f"time,bus,p_w,q_var\n{rows}")
        ids += [run.id for run in planned(tmp_path, f"{ENERGY}values = [5]", on_file).runs]
    assert ids[0] == ids[1] != ids[2]


def test_a_case_sets_several_fields_under_one_name(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        '[axes.design.cases]\n"pay as bid" = { "product.pricing" = "pay_as_bid", seed = 1 }\nas_it_is = {}',
    )
    assert [run.point["design"] for run in plan.runs] == ["pay as bid", "as_it_is"]
    first, second = (tomllib.loads(run.text) for run in plan.runs)
    assert (first["product"]["pricing"], first["seed"]) == ("pay_as_bid", 1)
    assert second == tomllib.loads(SCENARIO)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "axes: nothing is varied: needs an axis or seeds"),
        ("seeds = [1, 1]", "seeds: one stands there twice"),
        (f"{ENERGY}", "axes.energy_kwh: needs one of values, cases, uniform, log_uniform"),
        (f"{ENERGY}values = [1, 1]", "axes.energy_kwh.values.1: stands there already"),
        (f"{ENERGY}uniform = [1, 2]", "axes.energy_kwh: a range needs [sample]; without, give values"),
        (f"sample = {{ size = 4 }}\n{ENERGY}uniform = [2, 1]", "axes.energy_kwh.uniform: the least comes first"),
        (f"sample = {{ size = 6 }}\n{ENERGY}uniform = [1, 2]", "sample.size: Sobol' points are even at powers of two"),
        ("[axes.run]\npath = 'seed'\nvalues = [1]", "axes.run: is a column of the results already"),
        (
            f"{ENERGY}values = [5]".replace("homes", "home"),
            'sessions.energy_kwh": no "home" at agents (did you mean "homes"?)',
        ),
        (
            f"{ENERGY}values = [5, -1]",
            "axes.energy_kwh: energy_kwh = -1: agents.homes.config.sites.0.sessions.energy_kwh: "
            "Input should be greater than 0",
        ),
        (
            f"{ENERGY}values = [5]\n[axes.all]\npath = 'agents.homes.config'\nvalues = [{{}}]",
            "axes.energy_kwh: agents.homes.config.sites.0.sessions.energy_kwh is set by all, too",
        ),
        (
            "[axes.gate]\npath = 'gate_closure'\nvalues = [2026-01-16T00:00:00Z]",
            "axes.gate: gate = 2026-01-16T00:00:00+00:00: gate_closure: must not be after the start of delivery",
        ),
        (
            "[axes.day]\npath = 'delivery.start'\nvalues = [2026-01-15T16:00:00Z]",
            "with day = 2026-01-15T16:00:00+00:00: gate_closure: must not be after the start of delivery",
        ),
        (
            "[axes.who]\npath = 'agents.homes.agent'\nvalues = ['nowhere:Agent']",
            'axes.who: who = "nowhere:Agent": agents.homes.agent: no agent "nowhere:Agent": No module named',
        ),
    ],
)
def test_what_cannot_be_run_is_refused_at_its_axis(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(tmp_path, text)


def sampled(method: str, size: int, seed: int = 0) -> list[dict[str, Any]]:
    axes = {
        "share": {"path": "a", "uniform": (0, 1)},
        "price": {"path": "b", "log_uniform": (1, 10_000)},
        "count": {"path": "c", "uniform": (1, 4), "whole": True},
        "rule": {"path": "d", "values": ("dlmp", "uniform")},
    }
    sample = {"method": method, "size": size, "seed": seed}
    sweep = Sweep.model_validate({"name": "s", "scenario": "s.toml", "axes": axes, "sample": sample})
    return [dict(point) for point in points(sweep)]


@pytest.mark.parametrize("method", ["sobol", "latin_hypercube"])
def test_samples_have_as_many_points_in_each_part_of_an_axis(method: str) -> None:
    """64 points: 16 in each quarter, each decade, at each of four numbers; 32 under each rule."""
    drawn = sampled(method, 64)

    assert np.histogram([each["share"] for each in drawn], 4, (0, 1))[0].tolist() == [16] * 4
    assert np.histogram(np.log10([each["price"] for each in drawn]), 4, (0, 4))[0].tolist() == [16] * 4
    assert np.bincount([each["count"] for each in drawn], minlength=5).tolist() == [0, 16, 16, 16, 16]
    assert [each["rule"] for each in drawn].count("dlmp") == 32


def test_a_sample_is_drawn_by_its_seed_and_a_longer_one_goes_on() -> None:
    assert sampled("random", 5, seed=1) == sampled("random", 5, seed=1) != sampled("random", 5, seed=2)
    assert sampled("sobol", 16)[:8] == sampled("sobol", 8)


@pytest.mark.parametrize(("share", "number"), [(0.0, 1), (0.249, 1), (0.25, 2), (0.999, 4), (np.nextafter(1, 0), 4)])
def test_whole_numbers_have_equal_parts(share: float, number: int) -> None:
    assert Axis.model_validate({"path": "a", "uniform": (1, 4), "whole": True}).drawn(share) == number
