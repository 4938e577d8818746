"""An evening of six homes whose network is metered: what instruments read is what really flows, and the DSO has it."""

import asyncio

import numpy as np
import pytest

from market.network.model import FloatArray
from market.simulation.outcome import Outcome
from market.simulation.participant import BelievesLoad
from market.simulation.results import Results
from market.simulation.run import simulate
from market.simulation.scenario import Scenario
from tests.integration.test_study_of_instruments import HOMES, evening

METERING = {
    "smart": {"share": 1.0, "daily_at_h": None, "accuracy_class": 1e-6},
    "substations": {"accuracy_class": 1e-6},
}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    scenario = Scenario.model_validate(
        {**evening().model_dump(), "surroundings": {"load": {"std": 0.3, "hours": 4}}, "metering": METERING}
    )
    return asyncio.run(simulate(scenario, folder=tmp_path_factory.mktemp("metered"))).last


def readings(outcome: Outcome, quantity: str, **place: str) -> FloatArray:
    """(period,) of the delivery."""
    period, found = outcome.auction.delivery, dict[object, float | None]()
    for each in outcome.meter_readings:
        if each.quantity == quantity and all(getattr(each, name) == value for name, value in place.items()):
            found.update({each.start + at * each.resolution: value for at, value in enumerate(each.values)})
    return np.array([found[start] for start in period.starts()], dtype=np.float64)


def test_meters_read_what_really_flows_with_what_chargers_drew(outcome: Outcome) -> None:
    real = Results(outcome).truth.mean_points(outcome.auction.delivery)
    drawn_w = 0.0
    for bus in HOMES:
        at = real.grid.bus_at[bus]
        assert readings(outcome, "p_w", bus=bus) == pytest.approx(real.p_w[:, at], rel=1e-6)
        assert readings(outcome, "voltage_v", bus=bus) == pytest.approx(real.voltage_pu[:, at] * 400, rel=1e-6)
        drawn_w += float(outcome.drawn_w[bus].sum())
    assert drawn_w > 0


def test_a_substation_measures_all_buses_and_the_losses_behind_it(outcome: Outcome) -> None:
    real = Results(outcome).truth.mean_points(outcome.auction.delivery)
    (transformer,) = (id for id, line in zip(real.grid.branch_ids, real.grid.is_line, strict=True) if not line)

    into_w = readings(outcome, "p_w", element=transformer)

    assert (-into_w > real.p_w.sum(axis=1)).all()
    assert -into_w == pytest.approx(real.p_w.sum(axis=1), rel=0.02)


def test_the_dso_has_what_was_read(outcome: Outcome) -> None:
    dso, delivery = outcome.agents["grid"], outcome.auction.delivery
    real = Results(outcome).truth.mean_points(delivery)
    assert isinstance(dso, BelievesLoad)

    believed_w = dso.believed_w(HOMES, delivery)

    assert believed_w == pytest.approx(real.p_w[:, [real.grid.bus_at[bus] for bus in HOMES]], rel=1e-4)


def test_readings_are_in_the_results(outcome: Outcome) -> None:
    table = Results(outcome).tables["meter_readings"]

    assert set(table.column("meter").to_pylist()) >= {f"meter {bus}" for bus in HOMES}
    assert table.num_rows > 0
