"""Instruments at cables of 400 V, at whose far ends 10 kW are drawn in the first hour of a day, 11 in the second..."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from api_spec.grid import Network
from api_spec.grid_metering import GridReading
from api_spec.period import MarketPeriod
from market.errors import NotOnNetwork
from market.network import Grid, OperatingPoints, operating_points
from market.network.feeders import feeder
from market.network.model import FloatArray
from market.simulation.metering import HeadEnd, Metering, readings_table
from market.simulation.metering_table import MeteringTable
from market.simulation.scenario import Scenario
from tests.small_cases import Document, line

HOUR = timedelta(hours=1)
MIDNIGHT = datetime(2026, 1, 15, tzinfo=UTC)
BUSES = tuple(f"b{at:02}" for at in range(20))


def street() -> Network:
    """A source and twenty buses, each at a cable of its own."""
    buses: list[Document] = [{"id": name, "nominal_v": 400.0} for name in ("s", *BUSES)]
    lines = [line(f"to {name}", "s", name, r_ohm=0.01, x_ohm=0.001) for name in BUSES]
    return Network.model_validate(
        {"name": "street", "phases": 1, "source": {"bus": "s"}, "buses": buses, "lines": lines}
    )


GRID = Grid.of(street())


def flows(steps: MarketPeriod, *, fleets: bool) -> OperatingPoints:
    """10 kW and 1 kW for every hour since midnight at each bus, and 5 kW for a fleet; a fifth of it reactive."""
    hours = np.array([each.hour + each.minute / 60 for each in steps.starts()])
    p_w = np.zeros((steps.count, GRID.terminals))
    p_w[:, [GRID.bus_at[bus] for bus in BUSES]] = (10_000 + 1000 * hours + (5_000 if fleets else 0))[:, None]
    return operating_points(GRID, p_w, 0.2 * p_w)


def metering(*, begins: datetime = MIDNIGHT, zone: str = "UTC", **table: Document | int) -> Metering:
    return Metering(MeteringTable.model_validate(table), GRID, BUSES, zone=ZoneInfo(zone), begins=begins, seed=3)


def handed_out(instruments: Metering, *times: datetime) -> list[tuple[datetime, GridReading]]:
    """Everything that is there at each time, measured from one to the next."""
    found, state = [], instruments.begins
    for now in times:
        state, readings = instruments.measured(flows, state, now)
        found += [(now, each) for each in readings]
    return found


def day(*, hours: float = 1.0, until: datetime = MIDNIGHT + 24 * HOUR) -> list[datetime]:
    count = round((until - MIDNIGHT) / HOUR / hours)
    return [MIDNIGHT + at * hours * HOUR for at in range(1, count + 1)]


def values(readings: Iterable[tuple[datetime, GridReading]]) -> dict[tuple[str | None, str, datetime], float | None]:
    """By bus or element, quantity and time."""
    return {
        (each.bus or each.element, each.quantity, each.start + at * each.resolution): value
        for _, each in readings
        for at, value in enumerate(each.values)
    }


SMART = {"resolution": "PT1H", "daily_at_h": None, "accuracy_class": 1e-6}


def test_a_smart_meter_reads_everything_that_is_drawn_at_its_bus() -> None:
    """In the fourth hour 13 kW and 5 kW of the fleet, 3.6 kvar, and what is left of 400 V."""
    read = values(handed_out(metering(smart={**SMART, "buses": ["b07"]}), *day()))

    at = MIDNIGHT + 3 * HOUR
    assert {bus for bus, _, _ in read} == {"b07"}
    assert read["b07", "p_w", at] == pytest.approx(18_000, rel=1e-6)
    assert read["b07", "q_var", at] == pytest.approx(3_600, rel=1e-6)
    assert read["b07", "voltage_v", at] == pytest.approx(400 - 18_000 * 0.01 / 400 - 3_600 * 0.001 / 400, abs=0.01)


def test_a_substation_reads_what_flows_out_of_it_and_its_voltage() -> None:
    """Without a transformer, at the source: 18 kW, 3.6 kvar and (18 kVA^2 + 3.6 kVA^2) / 400 V^2 in 0.01 ohm."""
    substations = {"resolution": "PT1H", "elements": ["to b00"], "quantities": ["p_w", "current_a", "voltage_v"]}
    read = values(handed_out(metering(substations={**substations, "accuracy_class": 1e-6}), *day()))

    at, losses_w = MIDNIGHT + 3 * HOUR, (18_000**2 + 3_600**2) / 400**2 * 0.01
    assert read["to b00", "p_w", at] == pytest.approx(18_000 + losses_w, abs=0.2)
    assert read["to b00", "current_a", at] == pytest.approx(np.hypot(18_000, 3_600) / (np.sqrt(3) * 400), rel=2e-3)
    assert read["s", "voltage_v", at] == pytest.approx(400)


def test_a_larger_share_has_the_meters_of_every_smaller_one() -> None:
    shares = [0.0, 0.25, 0.5, 1.0]
    found = []
    for share in shares:
        read = values(handed_out(metering(smart={**SMART, "share": share}), MIDNIGHT + HOUR))
        found.append({bus for bus, _, _ in read})

    assert [len(each) for each in found] == [0, 5, 10, 20]
    assert all(fewer < more for fewer, more in pairwise(found))


def test_readings_do_not_depend_on_when_they_are_taken() -> None:
    """With everything that chance can do to them, hour by hour and all at once."""
    bad = {"share": 0.5, "spike_share": 0.2}
    table = {**SMART, "accuracy_class": 2.0, "missing": 0.1, "silent": 0.1, "silent_hours": 3, "bad": bad}
    often, once = (values(handed_out(metering(smart=table), *times)) for times in (day(), [MIDNIGHT + 24 * HOUR]))

    assert often == once
    assert often != values(handed_out(metering(smart={**table, "missing": 0.2}), *day()))


def test_a_reading_arrives_after_its_delay_and_not_before() -> None:
    """Quarter-hours that take half an hour: the one until 00:15 is there at 00:45."""
    table = {**SMART, "resolution": "PT15M", "delay": timedelta(minutes=30), "buses": ["b00"], "quantities": ["p_w"]}

    found = handed_out(metering(smart=table), *day(hours=0.25, until=MIDNIGHT + 2 * HOUR))

    assert [now - each.until for now, each in found] == [timedelta(minutes=30)] * 6
    assert found[0][1].start == MIDNIGHT


def test_a_local_day_arrives_at_once_the_next_morning() -> None:
    """In Copenhagen a day ends at 23:00 UTC, and it is 6 o'clock at 05:00 UTC."""
    table = {**SMART, "daily_at_h": 6.0, "buses": ["b00"], "quantities": ["p_w"]}
    begins = datetime(2026, 1, 14, 23, tzinfo=UTC)

    found = handed_out(metering(smart=table, begins=begins, zone="Europe/Copenhagen"), *day(until=MIDNIGHT + 32 * HOUR))

    assert {now for now, _ in found} == {MIDNIGHT + 29 * HOUR}
    assert sorted(at for _, _, at in values(found)) == [begins + at * HOUR for at in range(24)]


def test_the_day_when_clocks_change_has_all_of_its_hours() -> None:
    """On 29 March 2026 a day of Copenhagen has 23."""
    table = {**SMART, "daily_at_h": 6.0, "buses": ["b00"], "quantities": ["p_w"]}
    begins = datetime(2026, 3, 28, 23, tzinfo=UTC)

    found = handed_out(
        metering(smart=table, begins=begins, zone="Europe/Copenhagen"), *(begins + at * HOUR for at in range(1, 40))
    )

    assert {now for now, _ in found} == {datetime(2026, 3, 30, 4, tzinfo=UTC)}
    assert len(values(found)) == 23


def test_there_is_a_history_from_before_the_scenario_begins() -> None:
    read = values(handed_out(metering(smart={**SMART, "buses": ["b00"]}, history_days=2), MIDNIGHT))

    assert min(at for _, _, at in read) == MIDNIGHT - 48 * HOUR
    assert len(read) == 3 * 48


def test_errors_stay_within_the_class_and_a_third_of_it_is_their_deviation() -> None:
    """Of 20 meters of class 3 with three quantities each: sigma is 1 %, give or take 0.25 %."""
    read = values(handed_out(metering(smart={**SMART, "accuracy_class": 3.0}), MIDNIGHT + HOUR))
    true = values(handed_out(metering(smart=SMART), MIDNIGHT + HOUR))

    off = np.array([read[key] / true[key] - 1 for key in true])  # type: ignore[operator]
    assert np.abs(off).max() <= 0.03
    assert off.std() == pytest.approx(0.01, abs=0.0025)


def test_as_many_are_lost_as_there_should_be() -> None:
    """Of 20 meters and 30 days: a tenth one by one, and a fifth in silences."""
    month = 30 * 24 * HOUR
    for table, share in (({"missing": 0.1}, 0.1), ({"silent": 0.2, "silent_hours": 6}, 0.2)):
        read = values(handed_out(metering(smart={**SMART, **table, "quantities": ["p_w"]}), MIDNIGHT + month))

        assert np.mean([each is None for each in read.values()]) == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize(
    ("kind", "share_of_truth"),
    [("scaled", [2.0] * 24), ("swapped", [-1.0] * 24), ("stuck", [10 / (15 + at) for at in range(24)])],
)
def test_bad_instruments_are_wrong_in_their_own_way(kind: str, share_of_truth: list[float]) -> None:
    """A stuck one stays all day at the 10 kW that are drawn around the fleets as it begins; voltages stay right."""
    bad = {"share": 1.0, "kinds": [kind], "factors": [2.0]}

    read = values(handed_out(metering(smart={**SMART, "buses": ["b00"], "bad": bad}), *day()))
    true = values(handed_out(metering(smart={**SMART, "buses": ["b00"]}), *day()))

    hours = [MIDNIGHT + at * HOUR for at in range(24)]
    assert [read["b00", "p_w", at] / true["b00", "p_w", at] for at in hours] == pytest.approx(share_of_truth)  # type: ignore[operator]
    if kind != "stuck":
        assert all(read["b00", "voltage_v", at] == true["b00", "voltage_v", at] for at in hours)


def test_spikes_come_as_often_as_they_should() -> None:
    bad = {"share": 1.0, "kinds": ["spikes"], "spike_share": 0.1, "spike": 20}

    read = values(handed_out(metering(smart={**SMART, "quantities": ["p_w"], "bad": bad}), *day()))

    spikes = np.array(list(read.values()), dtype=float) > 100_000
    assert spikes.mean() == pytest.approx(0.1, abs=0.03)


def test_what_the_network_does_not_have_is_refused_by_name() -> None:
    with pytest.raises(NotOnNetwork, match='no bus "b77" on network "street"'):
        metering(smart={"buses": ["b77"]})


class OnPhaseB:
    """9 kW at one bus at all times, on one phase."""

    bus = feeder("risoe-three-phase").network.buses[-1].id

    def drawn_w(self, period: MarketPeriod) -> Mapping[str, FloatArray]:
        return {self.bus: np.full(period.count, 9000.0)}

    def drawn_by_phase_w(self, period: MarketPeriod) -> Mapping[str, FloatArray]:
        return {self.bus: np.outer(np.full(period.count, 9000.0), [0, 1, 0])}


def test_on_three_phases_meters_read_the_phase_in_which_a_fleet_draws() -> None:
    """9 kW on phase b, and not 3 kW on each of them."""
    scenario = Scenario.model_validate(
        {
            "name": "phases",
            "feeder": "risoe-three-phase",
            "begins": MIDNIGHT,
            "gate_closure": MIDNIGHT + HOUR,
            "delivery": {"start": MIDNIGHT + 2 * HOUR, "resolution": HOUR, "count": 1},
            "product": {"name": "day", "price_cap_eur_per_mwh": 900, "penalty_eur_per_mwh": 100},
            "agents": {"grid": {"role": "dso", "agent": "some:Dso"}},
            "metering": {"smart": {"buses": [OnPhaseB.bus], "quantities": ["p_w"], "daily_at_h": None}},
        }
    )
    with_fleet, without = (
        {each.phase: each.values[-1] for each in HeadEnd(scenario, who).hand_out(who, MIDNIGHT + HOUR)}
        for who in (cast(dict[str, Any], {"fleet": OnPhaseB()}), {})
    )
    drawn_w = [float(with_fleet[phase] or 0) - float(without[phase] or 0) for phase in ("a", "b", "c")]
    assert drawn_w == pytest.approx([0, 9000, 0], rel=0.01)


def test_a_table_of_readings_has_a_row_for_each_place_and_step() -> None:
    found = [each for _, each in handed_out(metering(smart={**SMART, "buses": ["b00", "b01"]}), *day())]

    table = readings_table(found)

    assert table.num_rows == 2 * 24
    first = table.sort_by([("bus", "ascending"), ("start", "ascending")]).slice(0, 1).to_pylist()[0]
    assert (first["meter"], first["bus"], first["start"], first["resolution_s"]) == ("meter b00", "b00", MIDNIGHT, 3600)
    assert first["p_w"] == pytest.approx(15_000, rel=1e-6)
    assert first["current_a"] is None
