"""The report of a run: from tidy tables to one file."""

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from market.figures.report import write_report
from market.figures.run_charts import run_charts
from market.figures.run_folder import RunFolder, runs_in
from market.figures.tidy import Grid
from tests import synthetic_day

COPENHAGEN = ZoneInfo("Europe/Copenhagen")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_day.write_run(tmp_path_factory.mktemp("runs") / "day")


def test_a_tidy_table_becomes_one_row_per_thing() -> None:
    grid = Grid.of(synthetic_day.elements(), "element")

    assert grid.things == ("cable", "trafo")
    assert grid["before"].shape == (2, 96)
    assert grid["before"].max() == pytest.approx(524)
    assert grid.words["unit"] == ("A", "A")
    assert (grid.starts[0], grid.resolution.total_seconds()) == (synthetic_day.START, 900)


def test_a_missing_row_is_not_a_zero() -> None:
    whole = synthetic_day.elements()
    grid = Grid.of(pa.concat_tables([whole.slice(0, 5), whole.slice(6)]), "element")

    assert [bool(missing) for missing in (grid["before"] != grid["before"])[0, 4:7]] == [False, True, False]


def test_the_worst_loaded_element_comes_first_and_its_sentence_says_how_bad() -> None:
    charts = {chart.key: chart for chart in run_charts({"elements": synthetic_day.elements()}, COPENHAGEN)}

    assert charts["load"].labels == ("trafo (131% before)", "cable (50% before)")
    assert "131%" in charts["load"].summary
    assert "18:30" in charts["load"].summary
    assert "100%" in charts["load"].summary


def test_prices_are_told_by_the_dearest_bus() -> None:
    charts = {chart.key: chart for chart in run_charts({"prices": synthetic_day.prices()}, COPENHAGEN)}

    assert "bus b10 at 18:30" in charts["prices"].summary
    assert charts["parts"].labels[0].startswith("b10")
    assert [trace.name for trace in charts["parts"].figures[0].data] == ["energy", "losses", "congestion", "total"]


def test_plugs_are_shown_together_and_one_by_one_but_not_those_never_used() -> None:
    charts = {chart.key: chart for chart in run_charts({"plugs": synthetic_day.plugs()}, COPENHAGEN)}

    assert charts["plugs"].labels == ("all 3 plugs together", "p1", "p2")
    metered, setpoint = charts["plugs"].figures[1].data
    assert (max(metered.y), max(setpoint.y)) == (10.5, 11.0)


def test_the_report_is_one_file_that_asks_nobody_for_anything(run: Path) -> None:
    report = write_report(run)
    page = report.read_text(encoding="utf-8")

    assert report == run / "report.html"
    assert re.findall(r"""<[^>]+\s(?:src|href)=["'](?!data:)[^"']*["']""", page.split("<script>")[0]) == []
    assert "default-src 'none'" in page
    assert page.count('<figure class="chart"') == 7
    assert "131 %" in page


def test_runs_are_listed_and_other_folders_passed_over(run: Path) -> None:
    (run.parent / "something-else").mkdir(exist_ok=True)

    assert [each.name for each in runs_in(run.parent)] == ["day"]
    assert RunFolder.at(run).title == "A made-up day"
