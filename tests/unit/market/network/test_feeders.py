"""The shipped feeders: what was published about them, and that both power-flow models agree on each."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from api_spec.period import MarketPeriod
from market.errors import NoLoadForPeriod, UnknownFeeder
from market.network import Grid, OperatingPoints, operating_points
from market.network.feeders import Feeder, feeder, feeders, make_risoe

WINTER_DAY = MarketPeriod(start=datetime(2026, 1, 14, 23, tzinfo=UTC), resolution=timedelta(minutes=15), count=96)


def loaded(shipped: Feeder, period: MarketPeriod = WINTER_DAY) -> OperatingPoints:
    grid = Grid.of(shipped.network)
    return operating_points(grid, *grid.consumption(shipped.injections(period), period.count))


def test_five_feeders_ship_two_of_them_in_three_phases() -> None:
    assert feeders() == ("baran-wu-33", "european-lv", "risoe", "risoe-three-phase", "simbench-lv-rural1")
    assert [name for name in feeders() if feeder(name).network.phases == 3] == ["european-lv", "risoe-three-phase"]


@pytest.mark.parametrize("name", feeders())
def test_admittance_matrix_agrees_with_power_grid_model(name: str) -> None:
    """At power-grid-model's voltages our matrix gives back the load of every terminal but the source's, within 1e-6 pu.

    1 pu is 1 MVA of a balanced network, and a third of it in each phase of a three-phase one.
    """
    points = loaded(feeder(name))
    drawn = -points.voltage * (points.grid.admittance @ points.voltage.T).T.conj()
    asked = (points.p_w + 1j * points.q_var) / (1e6 / points.grid.phases)
    others = np.setdiff1d(np.arange(points.grid.terminals), points.grid.source_terminals)

    assert np.abs(drawn - asked)[:, others].max() < 1e-6


@pytest.mark.parametrize("name", feeders())
def test_a_feeder_says_where_it_is_from(name: str) -> None:
    shipped = feeder(name)
    assert shipped.network.name == name
    assert "icence" in shipped.source or "icense" in shipped.source


def test_baran_and_wu_as_published() -> None:
    """Losses 202.7 kW and 0.9131 pu at the end of the main feeder, bus 18 of the paper."""
    points = loaded(feeder("baran-wu-33"))
    at_source = points.voltage[0] * (points.grid.admittance @ points.voltage[0]).conj()

    losses_kw = (at_source[points.grid.source].real * 1e6 - points.p_w[0].sum()) / 1e3
    assert losses_kw == pytest.approx(202.7, abs=0.05)
    assert points.voltage_pu[0].min() == pytest.approx(0.9131, abs=5e-5)
    assert points.grid.bus_ids[int(points.voltage_pu[0].argmin())] == "b17"


def test_risoe_keeps_its_limits_without_vehicles() -> None:
    points = loaded(feeder("risoe"))

    assert np.nanmax(points.loading) < 0.8
    assert (points.voltage_pu >= points.grid.min_pu).all()


def test_risoe_is_what_its_script_makes() -> None:
    shipped = feeder("risoe")

    assert shipped.network.model_validate(make_risoe.network()) == shipped.network
    assert json.loads(json.dumps(make_risoe.load()["buses"])) == {
        bus: {"p_w": list(day.p_w), "q_var": list(day.q_var)} for bus, day in shipped.load.buses.items()
    }


def test_load_follows_local_time_of_day() -> None:
    """06:00 in Copenhagen is 05:00 UTC in winter and 04:00 UTC in summer; an hour is the mean of its quarters."""
    shipped = feeder("risoe")
    day = shipped.load.buses["office"].p_w
    hour = timedelta(hours=1)

    def office(start: datetime, resolution: timedelta) -> tuple[float, ...]:
        period = MarketPeriod(start=start, resolution=resolution, count=1)
        return next(each.p_w for each in shipped.injections(period) if each.bus == "office")

    assert office(datetime(2026, 1, 15, 5, tzinfo=UTC), hour / 4) == (day[24],)
    assert office(datetime(2026, 7, 15, 4, tzinfo=UTC), hour / 4) == (day[24],)
    assert office(datetime(2026, 7, 15, 4, tzinfo=UTC), hour) == (sum(day[24:28]) / 4,)
    assert office(datetime(2026, 7, 15, 4, tzinfo=UTC), hour / 60) == (day[24],)
    with pytest.raises(NoLoadForPeriod, match="0:15:00, which do not fit periods of 0:20:00"):
        office(datetime(2026, 7, 15, 4, tzinfo=UTC), hour / 3)


def test_an_unknown_feeder_names_those_there_are() -> None:
    with pytest.raises(UnknownFeeder, match='no feeder "risö"; shipped are baran-wu-33, european-lv, risoe'):
        feeder("risö")
