"""The measures of a run from those of its days, by hand."""

from market.simulation.measures import Measures
from market.simulation.whole_run import whole_run


def day(**known: float) -> Measures:
    return Measures.model_validate(dict.fromkeys(Measures.model_fields, 0.0) | known)


def test_peaks_and_depths_are_the_worst_and_the_rest_adds_up() -> None:
    first = day(
        peak_loading=0.9, lowest_voltage_pu=0.95, highest_voltage_pu=1.01, overload_depth=0.0, overload_minutes=0,
        asked_kwh=100, dso_flexibility_eur=2.5, fleet_peak_w=9000, synchronisation=0.3, transformer_ageing_h=0.5,
    )  # fmt: skip
    second = day(
        peak_loading=1.2, lowest_voltage_pu=0.93, highest_voltage_pu=1.00, overload_depth=0.2, overload_minutes=30,
        asked_kwh=50, dso_flexibility_eur=-0.5, fleet_peak_w=8000, synchronisation=0.2, transformer_ageing_h=2.0,
    )  # fmt: skip
    both = whole_run([first, second])

    assert (both.peak_loading, both.lowest_voltage_pu, both.highest_voltage_pu) == (1.2, 0.93, 1.01)
    assert (both.overload_depth, both.overload_minutes) == (0.2, 30)
    assert (both.asked_kwh, both.dso_flexibility_eur, both.transformer_ageing_h) == (150, 2.0, 2.5)
    assert (both.fleet_peak_w, both.synchronisation) == (9000, 0.3)


def test_of_one_day_they_are_those_of_the_day() -> None:
    one = day(peak_loading=0.7, losses_kwh=12.5, drivers_unmet=2)
    assert whole_run([one]) == one
