"""The network as a picture: where buses stand, and what changes as the slider moves."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from api_spec.grid import Network
from market.figures.local_time import TimeAxis
from market.figures.network_map import CLASSES, network_map
from market.figures.one_line import one_line
from market.network.feeders import feeder, feeders

QUARTER = timedelta(minutes=15)
AXIS = TimeAxis.over(
    [datetime(2026, 1, 15, 11, tzinfo=UTC) + at * QUARTER for at in range(2)], QUARTER, ZoneInfo("Europe/Copenhagen")
)


def network(*lines: tuple[str, str, str]) -> Network:
    """Lines as (id, from, to) behind bus "s"."""
    buses = dict.fromkeys(["s", *(bus for _, *ends in lines for bus in ends)])
    return Network.model_validate(
        {
            "name": "drawn",
            "phases": 1,
            "source": {"bus": "s", "voltage_pu": 1.0},
            "buses": [{"id": bus, "nominal_v": 400.0} for bus in buses],
            "lines": [{"id": name, "from": a, "to": b, "r_ohm": 0.1, "x_ohm": 0.1} for name, a, b in lines],
        }
    )


def test_the_longest_way_is_a_straight_line_and_what_leaves_nearer_to_the_source_stands_further_out() -> None:
    """s-a-b-c, with d leaving at a and e leaving at b; lines may be written from either end."""
    diagram = one_line(
        network(("sa", "s", "a"), ("ba", "b", "a"), ("bc", "b", "c"), ("ad", "a", "d"), ("be", "b", "e"))
    )

    assert diagram.buses == {"s": (0, 0), "a": (1, 0), "b": (2, 0), "d": (2, 2), "c": (3, 0), "e": (3, 1)}
    assert diagram.elements["ba"] == ((1, 0), (2, 0))
    assert diagram.elements["ad"] == ((1, 0), (1, 2), (2, 2)), "across the lanes first, then along"


def test_a_line_that_closes_a_loop_goes_straight() -> None:
    diagram = one_line(network(("sa", "s", "a"), ("sb", "s", "b"), ("ab", "a", "b")))

    assert diagram.elements["ab"] == (diagram.buses["a"], diagram.buses["b"])


@pytest.mark.parametrize("name", feeders())
def test_no_two_buses_of_a_shipped_feeder_stand_in_one_place(name: str) -> None:
    shipped = feeder(name).network
    diagram = one_line(shipped)

    assert len(set(diagram.buses.values())) == len(shipped.buses)
    assert set(diagram.elements) == set(shipped.element_ids)


def test_the_slider_moves_values_and_lines_change_their_class() -> None:
    """The line is at 40 % at noon and at 120 % a quarter of an hour later; bus b goes from 30 to 90 EUR/MWh."""
    figure = network_map(
        network(("sa", "s", "a")),
        AXIS,
        values={"s": [30.0, 30.0], "a": [30.0, 90.0]},
        loading={"sa": [0.4, 1.2]},
        quantity="DLMP",
        unit="EUR/MWh",
    )

    first, last = 0, len(CLASSES) - 1
    assert [trace.name for trace in figure.data[: len(CLASSES)]] == [words for _, words, *_ in CLASSES]
    assert (list(figure.data[first].x), list(figure.data[last].x)) == ([0, 1, None], [])
    noon, later = figure.frames
    assert (list(noon.data[first].x), list(noon.data[last].x)) == ([0, 1, None], [])
    assert (list(later.data[first].x), list(later.data[last].x)) == ([], [0, 1, None])
    assert list(later.data[-1].marker.color) == [30, 90]
    assert [step.label for step in figure.layout.sliders[0].steps] == ["Thu 12:00", "Thu 12:15"]
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (30, 90)


def test_a_long_time_is_thinned_and_keeps_the_period_that_it_opens_at() -> None:
    """250 periods are every third of them: 84 (or 83), among them number 7."""
    axis = TimeAxis.over([datetime(2026, 1, 1, tzinfo=UTC) + at * QUARTER for at in range(250)], QUARTER, UTC)
    figure = network_map(
        network(("sa", "s", "a")),
        axis,
        values={"s": np.ones(250), "a": np.arange(250.0)},
        loading={},
        quantity="voltage",
        unit="pu",
        first=7,
    )

    assert len(figure.frames) == len(range(1, 250, 3))
    assert figure.frames[figure.layout.sliders[0].active].name == "Thu 01:45"
