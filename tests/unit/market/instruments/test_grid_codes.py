"""BNetzA BK6-22-300: what a connection keeps, by hand."""

import pytest

from api_spec.grid_codes import Device, controllable_w, guaranteed_minimum_w


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
