"""What a peak costs: on top of what has been reached, in the month and in each critical window."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from aggregator_agents.connection import Connection
from aggregator_agents.meter_log import MeterLog
from aggregator_agents.peaks import PeakWatch
from aggregator_agents.planning import Grid, Planner, Valuation
from aggregator_agents.premises import Premises, PremisesTable
from api_spec.tariffs import TariffPrices
from tests.unit.aggregator_agents.places import FULL_W, HOUR, NOON, quarters, site, vehicle

QUARTER = timedelta(minutes=15)
LOT = Connection(site(), Valuation(), Premises(PremisesTable(), "lot"))


def tariff(*, month: Sequence[float] = (0,) * 8, critical: Sequence[float] = (0,) * 8) -> TariffPrices:
    return TariffPrices(
        tariff="tar_1",
        period=quarters(8),
        energy_eur_per_mwh=(Decimal(0),) * 8,
        critical_eur_per_kw=tuple(map(Decimal, critical)),
        peak_eur_per_kw_month=tuple(map(Decimal, month)),
    )


@pytest.fixture
def log() -> Iterator[MeterLog]:
    """4 kW in the quarter before 11:45, 2 kW in the one before noon."""
    with closing(MeterLog(Path(":memory:"))) as log:
        for minutes, register_wh in ((-30, 0.0), (-15, 1_000.0), (0, 1_500.0)):
            log.record("lot", NOON + minutes * timedelta(minutes=1), register_wh)
        yield log


def test_what_has_been_reached_this_month_is_paid_already(log: MeterLog) -> None:
    watch = PeakWatch()
    for minutes in (-15, -14, 0):
        watch.note(LOT, log.meter("lot"), NOON + minutes * timedelta(minutes=1))
    (peak,) = watch.peaks(tariff(month=(0, 0, 3, 3, 3, 3, 3, 3)), Grid.of(quarters(8)), Valuation())
    assert peak.price_eur_per_kw == pytest.approx(3 / 17), "17 days are left of January"
    assert peak.so_far_w == 4_000
    assert peak.counts.tolist() == [False] * 2 + [True] * 6


def test_each_critical_window_has_a_peak_of_its_own(log: MeterLog) -> None:
    """What was drawn before a window began is not in it."""
    watch = PeakWatch()
    watch.note(LOT, log.meter("lot"), NOON)
    first, second = watch.peaks(tariff(critical=(0.5, 0.5, 0, 0.5, 7, 7, 0, 0)), Grid.of(quarters(8)), Valuation())[:2]
    assert (first.so_far_w, first.counts.tolist()) == (0, [True, True, *[False] * 6])
    assert (second.price_eur_per_kw, second.counts.tolist()) == (0.5, [False] * 3 + [True] + [False] * 4)


def test_no_peak_is_worth_a_driver_who_goes_without() -> None:
    """An hour of 1 kW is worth 2 EUR to a driver; the window asks for 7, the plan counts half of the driver's."""
    (peak,) = PeakWatch().peaks(tariff(critical=(7,) * 8), Grid.of(quarters(8)), Valuation())
    assert peak.price_eur_per_kw == 1.0


def test_another_month_begins_anew(log: MeterLog) -> None:
    watch = PeakWatch()
    watch.note(LOT, log.meter("lot"), NOON)
    later = Grid(NOON + 30 * 24 * HOUR, Grid.of(quarters(8)).length_h)
    shifted = tariff(month=(3,) * 8).model_copy(
        update={"period": quarters(8).model_copy(update={"start": later.start})}
    )
    assert watch.peaks(shifted, later, Valuation())[0].so_far_w == 0


def test_without_a_tariff_peaks_cost_nothing() -> None:
    assert PeakWatch().peaks(None, Grid.of(quarters(8)), Valuation()) == ()


def test_a_vehicle_charges_flat_where_a_peak_costs_more_than_waiting() -> None:
    """An hour's energy in two hours: half the power all the time, instead of all of it at once."""
    peaks = PeakWatch().peaks(tariff(month=(5,) * 8), Grid.of(quarters(8)), Valuation())
    car = vehicle(stays_h=2)
    flat = Planner().plan(LOT.asked([car], quarters(8), issued=NOON, peaks=peaks)).total_w
    soon = Planner().plan(LOT.asked([car], quarters(8), issued=NOON)).total_w
    assert flat == pytest.approx([FULL_W / 2] * 8)
    assert soon == pytest.approx([FULL_W] * 4 + [0.0] * 4, abs=1)
