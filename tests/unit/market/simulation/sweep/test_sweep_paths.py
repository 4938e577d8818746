import tomllib
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from market.simulation.sweep.paths import NoSuchPlace, dotted, places, put
from market.simulation.sweep.toml_text import toml_text

SCENARIO = {
    "seed": 1,
    "surroundings": None,
    "agents": {
        "grid": {"config": {"margin": 0.1}},
        "lot": {"config": {"sites": [{"fuse_a": 25}, {"fuse_a": 63}]}},
        "v1.2": {"config": {"sites": []}},
    },
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("seed", ["seed"]),
        ("agents.lot.config.sites.1.fuse_a", ["agents.lot.config.sites.1.fuse_a"]),
        ("agents.*.config.sites.*.fuse_a", ["agents.lot.config.sites.0.fuse_a", "agents.lot.config.sites.1.fuse_a"]),
        ("agents.*.config.margin", ["agents.grid.config.margin"]),
        ("agents.l*.config.sites.0", ["agents.lot.config.sites.0"]),
        ('agents."v1.2".config', ['agents."v1.2".config']),
        ("surroundings.noise", ["surroundings.noise"]),
    ],
)
def test_a_path_leads_to_its_places(path: str, found: list[str]) -> None:
    assert [dotted(place) for place in places(path, SCENARIO)] == found


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("sead", r'"sead": no "sead" \(did you mean "seed"\?\)'),
        ("agents.lots.config", r'no "lots" at agents \(did you mean "lot"\?\)'),
        ("agents.lot.config.sites.2.fuse_a", r'no "2" at agents.lot.config.sites \(there is 0, 1\)'),
        ("agents.*.config.sites.*.fuze_a", r'no "fuze_a" at agents.\*.config.sites.\* \(did you mean "fuse_a"\?\)'),
        ("seed.more", r'no "more" at seed \(it is a value\)'),
        ("agents..lot", "is no path"),
        ("", "is no path"),
    ],
)
def test_a_path_to_nowhere_is_refused_with_the_nearest_name(path: str, said: str) -> None:
    with pytest.raises(NoSuchPlace, match=said):
        places(path, SCENARIO)


def test_what_the_file_does_not_say_is_filled_in_on_the_way() -> None:
    """The file has neither `value` nor the second kind; of the defaults only what is needed gets into it."""
    filled = {"value": {"waiting": 5, "wear": 6}, "kinds": [{"share": 1}, {"share": 2}], "seed": 1}

    assert put({"seed": 1}, ("value", "waiting"), 9, filled=filled) == {"seed": 1, "value": {"waiting": 9}}
    assert put({}, ("kinds", 1, "share"), 9, filled=filled) == {"kinds": [{"share": 1}, {"share": 9}]}
    assert filled["kinds"] == [{"share": 1}, {"share": 2}]


WORDS = st.text('ab .-"\\\n\t\x00\x7fé€', max_size=6)
VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | WORDS
    | st.datetimes(timezones=st.just(UTC)),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=6,
)


# Slow is the machine, not what is drawn: a few values.
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.dictionaries(WORDS, VALUES, max_size=3))
def test_a_scenario_s_text_is_read_as_the_scenario(document: dict[str, object]) -> None:
    assert tomllib.loads(toml_text(document)) == document


def test_a_scenario_s_text_reads_like_one() -> None:
    document = {"delivery": {"count": 2, "start": datetime(2026, 1, 1, tzinfo=UTC)}, "name": "a", "buses": ["b", "c"]}
    assert toml_text(document) == (
        'name = "a"\nbuses = ["b", "c"]\n\n[delivery]\ncount = 2\nstart = 2026-01-01T00:00:00+00:00\n'
    )
