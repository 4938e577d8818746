from datetime import timedelta
from pathlib import Path

import pytest

from api_spec.case import Injection
from api_spec.period import MarketPeriod
from dso_agents.forecast import ForecastUnusable, KnownLoad, Uncertainty, forecast, read_known_load
from tests.unit.dso_agents.street import DAY, amps, street

KNOWN = KnownLoad(network=street(), period=DAY, load=amps(10, 20, 30, 40))


def test_the_median_is_what_is_expected() -> None:
    assert forecast(KNOWN.load, Uncertainty(relative_error=0.3)) == KNOWN.load


def test_a_quantile_of_975_permille_is_1_96_standard_deviations_more_consumption_and_less_generation() -> None:
    load = (Injection(bus="far", p_w=(1000.0, -1000.0), q_var=(0.0, 0.0)),)

    (safe,) = forecast(load, Uncertainty(relative_error=0.1, quantile=0.975))

    assert safe.p_w == pytest.approx((1196.0, -804.0), abs=0.1)


def test_a_period_inside_the_known_load_is_cut_out_of_it() -> None:
    two = MarketPeriod(start=DAY.start + timedelta(hours=1), resolution=DAY.resolution, count=2)

    assert KNOWN.injections(two) == amps(20, 30)


@pytest.mark.parametrize(
    "wanted",
    [
        MarketPeriod(start=DAY.start + timedelta(hours=3), resolution=DAY.resolution, count=2),
        MarketPeriod(start=DAY.start - timedelta(hours=1), resolution=DAY.resolution, count=2),
        MarketPeriod(start=DAY.start, resolution=timedelta(minutes=30), count=2),
        MarketPeriod(start=DAY.start + timedelta(minutes=30), resolution=DAY.resolution, count=2),
    ],
    ids=["too long", "too early", "finer", "between"],
)
def test_nothing_is_made_up_for_a_period_that_is_not_known(wanted: MarketPeriod) -> None:
    with pytest.raises(ForecastUnusable, match="load is known"):
        KNOWN.injections(wanted)


def test_a_file_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "known.json"
    file.write_text(KNOWN.model_dump_json(exclude_none=True))

    assert read_known_load(file) == KNOWN


def test_a_wrong_bus_in_a_file_is_named_at_its_place(tmp_path: Path) -> None:
    file = tmp_path / "known.json"
    file.write_text(KNOWN.model_dump_json(exclude_none=True).replace('"load":[{"bus":"far"', '"load":[{"bus":"fra"'))

    with pytest.raises(ForecastUnusable, match=r'known\.json: /load/0/bus: no bus "fra".*did you mean "far"'):
        read_known_load(file)
