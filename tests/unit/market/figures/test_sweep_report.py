"""A sweep as pictures: what is drawn over what, and what is a mean of several runs."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from market.figures.sweep_report import Sweep, sweep_charts, write_sweep_report

WORDS = {"unit": "EUR", "meaning": "what the DSO pays"}


def results(**columns: list[object]) -> pa.Table:
    """Two penetrations at two prices of waiting, each with two seeds."""
    points = [(share, price, seed) for share in (0.5, 1.0) for price in (4, 12) for seed in (1, 2)]
    table = {
        "run": [f"r{at}" for at in range(8)],
        "penetration": [share for share, *_ in points],
        "waiting": [price for _, price, _ in points],
        "seed": [seed for *_, seed in points],
        "dso_flexibility_eur": [share * price + seed for share, price, seed in points],
        "peak_loading": [share for share, *_ in points],
        "unmet_kwh": [0.0] * 8,
    }
    plain = pa.table(table | columns)
    measures = {"dso_flexibility_eur": WORDS, "peak_loading": {"unit": "1", "meaning": "x"}, "unmet_kwh": WORDS}
    fields = [each.with_metadata(measures[each.name]) if each.name in measures else each for each in plain.schema]
    return plain.cast(pa.schema(fields))


def test_lines_go_over_the_numbers_with_most_values_and_what_never_changes_is_left_out() -> None:
    table = results(penetration=[0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1.0, 1.0])
    sweep = Sweep.of("mine", table)

    assert sweep.varied == ("penetration", "waiting", "seed")
    assert sweep.across == "penetration"
    assert list(sweep.titles) == ["peak_loading", "dso_flexibility_eur"], "unmet energy is 0 everywhere"
    assert sweep.titles["dso_flexibility_eur"] == "dso flexibility [EUR]"


def test_a_point_of_several_seeds_is_their_mean() -> None:
    """At half the homes and 4 EUR the two seeds pay 0.5 x 4 + 1 and + 2: 3.5 in the mean."""
    sweep = Sweep.of("mine", results())

    assert sweep.mean("dso_flexibility_eur", penetration=0.5, waiting=4) == 3.5
    assert np.isnan(sweep.mean("dso_flexibility_eur", penetration=0.7))


def test_nothing_is_drawn_over_seeds_where_anything_else_is_varied() -> None:
    """Eight seeds and two penetrations: a line over penetrations, of means, and no map."""
    table = results(seed=list(range(8)), waiting=[4] * 8)
    sweep = Sweep.of("mine", table)
    lines, trade_off = sweep_charts(sweep)

    assert (sweep.varied, sweep.across) == (("penetration", "seed"), "penetration")
    assert [list(line.x) for line in lines.figures[0].data] == [[0.5, 1.0]]
    assert len(trade_off.figures[0].data[0].x) == 8
    assert Sweep.of("mine", results(seed=list(range(8)), waiting=[4] * 8, penetration=[1.0] * 8)).across == "seed"


def test_two_axes_make_a_line_for_each_value_of_the_second_and_a_map() -> None:
    sweep = Sweep.of("mine", results().drop_columns(["seed"]))
    lines, cells, trade_off = sweep_charts(sweep)

    cost = lines.figures[lines.labels.index("dso flexibility eur")]
    assert [(line.name, list(line.x), list(line.y)) for line in cost.data] == [
        ("waiting 4", [0.5, 1.0], [3.5, 5.5]),
        ("waiting 12", [0.5, 1.0], [7.5, 13.5]),
    ]
    assert np.array(cells.figures[cells.labels.index("dso flexibility eur")].data[0].z).tolist() == [
        [3.5, 5.5],
        [7.5, 13.5],
    ]
    assert len(trade_off.figures[0].data[0].x) == 8


def test_the_report_is_one_file_and_a_sweep_in_which_nothing_changes_has_none(tmp_path: Path) -> None:
    pq.write_table(results(), tmp_path / "results.parquet")
    report = write_sweep_report(tmp_path, "<mine>", missing=2)

    assert report is not None
    text = report.read_text(encoding="utf-8")
    assert "&lt;mine&gt;" in text
    assert "penetration, waiting, seed" in text
    assert "8 runs of 10: the others have failed" in text
    pq.write_table(results().slice(0, 1), tmp_path / "results.parquet")
    assert write_sweep_report(tmp_path, "mine") is None
    assert not report.exists(), "what was shown is no more"
