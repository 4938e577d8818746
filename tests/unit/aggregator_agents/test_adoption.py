"""Which homes have a vehicle."""

from hypothesis import given
from hypothesis import strategies as st

from aggregator_agents.sessions import Pattern
from aggregator_agents.site_table import SiteTable

HOMES = tuple(f"home-{number}" for number in range(1, 41))
DRIVERS = Pattern(arrives_h=18, departs_h=7, energy_kwh=18)
SHARES = st.floats(0, 1)


def driving(share: float) -> list[str]:
    table = SiteTable(buses=HOMES, fuse_a=25, adoption=share, sessions=DRIVERS)
    return [site.bus for site in table.sites()]


@given(SHARES, SHARES)
def test_a_larger_share_adds_drivers_and_keeps_those_there(one: float, other: float) -> None:
    few, many = sorted((one, other))
    assert set(driving(few)) <= set(driving(many))


@given(SHARES)
def test_the_share_is_met_to_half_a_home(share: float) -> None:
    assert abs(len(driving(share)) - 40 * share) <= 0.5


def test_nobody_and_everybody() -> None:
    assert driving(0) == []
    assert driving(1) == list(HOMES)
