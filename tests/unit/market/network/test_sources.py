"""Networks and load from files, one fact each."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from api_spec.period import MarketPeriod
from market.errors import BadLoadFile, BadNetworkFile, LoadNotKnown, NoLoadForPeriod, ReaderUnavailable, UnknownFeeder
from market.network.feeders import feeder
from market.network.profiles import Profiles
from market.network.sources import GridTable, grid_source

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
NETWORK = {
    "name": "street",
    "phases": 1,
    "source": {"bus": "station"},
    "buses": [{"id": "station", "nominal_v": 400}, {"id": "home", "nominal_v": 400}],
    "lines": [{"id": "cable", "from": "station", "to": "home", "r_ohm": 0.1, "x_ohm": 0.05}],
}
ROWS = """time,bus,p_w,q_var
2026-01-15T12:00:00Z,home,1000,100
2026-01-15T13:15:00+01:00,home,3000,300
2026-01-15T12:30:00Z,home,5000,500
"""


def period(minutes: int, count: int, start: datetime = NOON) -> MarketPeriod:
    return MarketPeriod(start=start, resolution=timedelta(minutes=minutes), count=count)


def table(folder: Path, rows: str = ROWS, network: dict[str, object] | None = None) -> GridTable:
    (folder / "street.json").write_text(json.dumps(network or NETWORK))
    (folder / "load.csv").write_text(rows)
    return GridTable(file=folder / "street.json", load=folder / "load.csv")


def test_a_name_is_a_shipped_feeder() -> None:
    assert grid_source("risoe") is feeder("risoe")
    with pytest.raises(UnknownFeeder):
        grid_source("nowhere")


def test_profiles_are_cut_averaged_and_repeated(tmp_path: Path) -> None:
    """Quarters of 1, 3, 5 kW: the half hour from noon has 2 kW, and 13:20 to 13:25 of Copenhagen lies in the second."""
    source = grid_source(table(tmp_path))
    assert source.network.name == "street"
    assert source.injections(period(15, 2, NOON + timedelta(minutes=15)))[0].p_w == (3000, 5000)
    assert source.injections(period(30, 1))[0].p_w == (2000,)
    assert source.injections(period(30, 1))[0].q_var == (200,)
    assert source.injections(period(5, 1, NOON + timedelta(minutes=20)))[0].p_w == (3000,)


def test_parquet_says_the_same(tmp_path: Path) -> None:
    from_csv = grid_source(table(tmp_path)).injections(period(15, 3))
    start = pa.array([NOON + k * timedelta(minutes=15) for k in range(3)], pa.timestamp("ms", tz="Europe/Copenhagen"))
    columns = {"time": start, "bus": ["home"] * 3, "p_w": [1000, 3000, 5000], "q_var": [100, 300, 500]}
    pa.parquet.write_table(pa.table(columns), tmp_path / "load.parquet")
    own = GridTable(file=tmp_path / "street.json", load=tmp_path / "load.parquet")
    assert grid_source(own).injections(period(15, 3)) == from_csv


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (ROWS.replace("home,3000", "hom,3000"), "hom at 2026-01-15T12:00:00.00:00 is there 0 times"),
        (ROWS + "2026-01-15T12:30:00Z,home,5000,500\n", "home at 2026-01-15T12:30:00.00:00 is there 2 times"),
        (ROWS.replace(",home", ",hom"), 'no bus "hom" on network "street" .did you mean "home".'),
        (ROWS.replace("12:30:00Z", "12:40:00Z"), "needs steps of one length"),
        (ROWS.replace(",q_var", ",q"), 'has no column "q_var"'),
        (ROWS.replace("00Z", "00"), "cannot be read"),
        (ROWS.replace("5000,500", ",500"), "p_w: has empty cells"),
        (ROWS.replace("5000,500", "inf,500"), "p_w, q_var: must be finite numbers"),
        ("time,bus,p_w,q_var\n", "has no row"),
        (ROWS.replace("bus,", "bus,phase,").replace("home,", "home,a,"), 'phase a of "home", but .* is balanced'),
        (ROWS.replace("bus,", "bus,phase,").replace("home,", "home,x,"), 'phase: "x" is none of a, b, c'),
    ],
)
def test_what_is_wrong_with_profiles_is_said(tmp_path: Path, rows: str, reason: str) -> None:
    with pytest.raises(BadLoadFile, match=reason):
        grid_source(table(tmp_path, rows))


def test_outside_of_what_is_known_there_is_no_load(tmp_path: Path) -> None:
    source = grid_source(table(tmp_path))
    with pytest.raises(LoadNotKnown, match=r"is known from 2026-01-15T12:00:00.00:00 to 2026-01-15T12:45:00"):
        source.injections(period(15, 4))
    with pytest.raises(NoLoadForPeriod):
        source.injections(period(20, 1))
    with pytest.raises(NoLoadForPeriod):
        source.injections(period(15, 1, NOON + timedelta(minutes=5)))


def test_load_may_be_drawn_in_one_phase(tmp_path: Path) -> None:
    three = feeder("risoe-three-phase").network
    bus = three.buses[-1].id
    rows = ROWS.replace("bus,", "bus,phase,").replace("home,", f"{bus},b,")
    source = grid_source(table(tmp_path, rows, three.model_dump(mode="json", exclude_none=True, by_alias=True)))
    (only,) = source.injections(period(15, 3))
    assert (only.bus, only.phase, only.p_w) == (bus, "b", (1000, 3000, 5000))


def test_one_day_stands_for_any_day(tmp_path: Path) -> None:
    table(tmp_path)
    day = {"timezone": "UTC", "resolution": "PT12H", "buses": {"home": {"p_w": [1, 2], "q_var": [0, 0]}}}
    (tmp_path / "day.json").write_text(json.dumps(day))
    own = GridTable(file=tmp_path / "street.json", load=tmp_path / "day.json")
    assert grid_source(own).injections(period(60, 2, NOON - timedelta(hours=1)))[0].p_w == (1, 2)
    (tmp_path / "bad.json").write_text(json.dumps({**day, "buses": {"hom": day["buses"]["home"]}}))  # type: ignore[index]
    with pytest.raises(BadLoadFile, match='no bus "hom"'):
        grid_source(own.model_copy(update={"load": tmp_path / "bad.json"}))
    (tmp_path / "worse.json").write_text(json.dumps({**day, "resolution": "PT7H"}))
    with pytest.raises(BadLoadFile, match=r"worse.json: /resolution: must divide a day"):
        grid_source(own.model_copy(update={"load": tmp_path / "worse.json"}))


def test_a_matpower_case_brings_its_load(tmp_path: Path) -> None:
    pytest.importorskip("matpowercaseframes")
    case = tmp_path / "two.m"
    case.write_text(
        "function mpc = two\nmpc.version = '2';\nmpc.baseMVA = 1;\n"
        "mpc.bus = [\n1 3 0 0 0 0 1 1 0 0.4 1 1.1 0.9;\n2 1 0.02 0.005 0 0 1 1 0 0.4 1 1.1 0.9;\n];\n"
        "mpc.gen = [\n1 0 0 1 -1 1 1 1 1 0;\n];\nmpc.branch = [\n1 2 0.1 0.1 0 0 0 0 0 0 1 -360 360;\n];\n"
    )
    (only,) = grid_source(GridTable(file=case)).injections(period(15, 2))
    assert only.p_w == pytest.approx((20_000, 20_000))
    assert only.q_var == pytest.approx((5000, 5000))


def test_a_file_that_is_none_of_the_forms_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(BadNetworkFile, match="is no network"):
        grid_source(GridTable(file=tmp_path / "list.json"))
    with pytest.raises(BadNetworkFile, match="there is no such file"):
        grid_source(GridTable(file=tmp_path / "absent.json"))


@pytest.mark.parametrize(("asked", "stands"), [("2026-06-03", "2016-06-01"), ("2026-01-01", "2016-01-07")])
def test_a_year_stands_for_any_year_with_its_weekdays(asked: str, stands: str) -> None:
    """3 June 2026 is a Wednesday, as is 1 June 2016; the Thursday nearest to 1 January 2016 lies in the year before."""
    days = 366
    year = Profiles(
        "year",
        datetime(2016, 1, 1, tzinfo=UTC),
        timedelta(days=1),
        (("home", None),),
        np.arange(days, dtype=np.float64)[:, None],
        np.zeros((days, 1)),
        yearly=True,
    )
    (only,) = year.injections(period(1440, 1, datetime.fromisoformat(asked).replace(tzinfo=UTC)))
    expected = (datetime.fromisoformat(stands) - datetime(2016, 1, 1)).days
    assert only.p_w == (expected,)
    assert datetime.fromisoformat(asked).weekday() == datetime.fromisoformat(stands).weekday()


def test_without_its_package_simbench_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "simbench", None)
    with pytest.raises(ReaderUnavailable, match="needs simbench: pip install 'simbench'"):
        grid_source(GridTable(simbench="1-LV-rural1--2-sw"))


def test_simbench_gives_loads_less_generation_of_its_year(monkeypatch: pytest.MonkeyPatch) -> None:
    """4 kW and 1 kvar, less 1.5 kW of PV, in every quarter of the year."""
    pandapower = pytest.importorskip("pandapower")
    net = pandapower.create_empty_network()
    high, low = (pandapower.create_bus(net, kv, name=name) for kv, name in ((20, "mv"), (0.4, "lv")))
    pandapower.create_transformer(net, high, low, "0.4 MVA 20/0.4 kV", name="station")
    pandapower.create_ext_grid(net, high)
    pandapower.create_load(net, low, 0.004, 0.001)
    pandapower.create_sgen(net, low, 0.0015)
    net.profiles = {"load": range(366 * 96)}
    monkeypatch.setitem(sys.modules, "simbench", _simbench(net))

    source = grid_source(GridTable(simbench="1-LV-test--0-sw"))
    (only,) = source.injections(period(60, 1))
    assert (only.bus, *only.p_w, *only.q_var) == ("lv", pytest.approx(2500), pytest.approx(1000))
    with pytest.raises(BadNetworkFile, match="is no SimBench code"):
        grid_source(GridTable(simbench="1-LV-nowhere"))


def _simbench(net: object) -> ModuleType:
    def year(mw: Sequence[float]) -> SimpleNamespace:
        return SimpleNamespace(to_numpy=lambda: np.tile(mw, (366 * 96, 1)))

    module = ModuleType("simbench")
    module.collect_all_simbench_codes = lambda: ["1-LV-test--0-sw"]  # type: ignore[attr-defined]
    module.get_simbench_net = lambda code: net  # type: ignore[attr-defined]
    module.get_absolute_values = lambda net, profiles_instead_of_study_cases: {  # type: ignore[attr-defined]
        ("load", "p_mw"): year([0.004]),
        ("load", "q_mvar"): year([0.001]),
        ("sgen", "p_mw"): year([0.0015]),
    }
    return module
