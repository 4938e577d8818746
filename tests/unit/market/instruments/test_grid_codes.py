"""BNetzA BK6-22-300: what a connection keeps, by hand."""

from fractions import Fraction
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_spec.grid_codes import Device, controllable_w, guaranteed_minimum_w

FACTORS: Final = ("0.8", "0.75", "0.7", "0.65", "0.6", "0.55", "0.5", "0.45")
"""The annex's table, for 2, 3, ... and at least 9 devices."""


def device(kind: str, rated_w: int, count: int = 1) -> Device:
    return Device.model_validate({"kind": kind, "rated_power_w": rated_w, "count": count})


def test_one_charge_point_keeps_4200_w() -> None:
    assert guaranteed_minimum_w((device("charge_point", 11_000),), "energy_management") == 4_200
    assert guaranteed_minimum_w((device("charge_point", 22_000),), "direct") == 4_200


def test_what_draws_4200_w_or_less_is_not_controllable() -> None:
    assert controllable_w((device("charge_point", 3_700), device("storage", 4_200))) == ()
    assert guaranteed_minimum_w((device("charge_point", 3_700),), "energy_management") == 0


@pytest.mark.parametrize(
    ("count", "kept_w"),
    [
        (2, 7_560),
        (3, 10_500),
        (4, 13_020),
        (5, 15_120),
        (6, 16_800),
        (7, 18_060),
        (8, 18_900),
        (9, 19_320),
        (20, 40_110),
    ],
)
def test_of_several_devices_the_others_keep_4200_w_times_the_simultaneity_factor(count: int, kept_w: int) -> None:
    """4200 + (n - 1) x factor x 4200: two keep 4200 + 0.80 x 4200, nine 4200 + 8 x 0.45 x 4200."""
    assert guaranteed_minimum_w((device("charge_point", 11_000, count),), "energy_management") == kept_w
    assert guaranteed_minimum_w((device("charge_point", 11_000, count),), "direct") == count * 4_200


def test_a_heat_pump_above_11_kw_keeps_40_percent() -> None:
    """14.685 kW keep 5.874 kW; with two charge points beside it, 5.874 + 2 x 0.75 x 4.2 = 12.174 kW."""
    pump = device("heat_pump", 14_685)
    assert guaranteed_minimum_w((pump,), "direct") == 5_874
    assert guaranteed_minimum_w((pump, device("charge_point", 11_000, 2)), "energy_management") == 12_174
    assert guaranteed_minimum_w((device("heat_pump", 11_000),), "direct") == 4_200, "not above 11 kW"


def test_all_heat_pumps_of_a_connection_are_one_device_and_cooling_is_another() -> None:
    """Two pumps of 6 kW are one of 12 kW: 4.8 kW; cooling of 20 kW: 8 kW; together max(4.8, 8) + 0.80 x 4.2 = 11.36."""
    pumps, cooling = device("heat_pump", 6_000, 2), device("cooling", 20_000)
    assert controllable_w((pumps, cooling)) == (("heat_pump", 12_000), ("cooling", 20_000))
    assert guaranteed_minimum_w((pumps, cooling), "energy_management") == 11_360
    assert guaranteed_minimum_w((pumps, cooling), "direct") == 12_800


powers = st.integers(1, 40_000)


@given(st.lists(powers, max_size=4), st.lists(powers, max_size=4), st.lists(powers, max_size=12))
def test_the_minimum_is_the_annexs_formula(pumps: list[int], cooling: list[int], others: list[int]) -> None:
    """Clause 4.5.2 as it is printed, with the sums of all heat pumps and of all cooling that are controllable.

    With heat pumps or cooling above 11 kW  Max(0.4 x P_WP; 0.4 x P_Klima) + (n - 1) x GZF x 4.2 kW, else
    4.2 kW + (n - 1) x GZF x 4.2 kW; ours is in whole watts, and never less by one.
    """
    groups = [power if power > 4_200 else 0 for power in (sum(pumps), sum(cooling))]
    number = sum(map(bool, groups)) + sum(power > 4_200 for power in others)
    devices = tuple(
        device(kind, power)
        for kind, own in (("heat_pump", pumps), ("cooling", cooling), ("charge_point", others))
        for power in own
    )
    kept = guaranteed_minimum_w(devices, "energy_management")
    if number == 0:
        assert kept == 0
        return
    first = Fraction(2, 5) * max(groups) if max(groups) > 11_000 else Fraction(4_200)
    factor = Fraction(FACTORS[min(number, 9) - 2]) if number > 1 else Fraction(0)
    assert 0 <= kept - (first + (number - 1) * factor * 4_200) < 1
