"""Charging plans of sites small enough to plan by hand."""

from decimal import Decimal

import numpy as np
import pytest

from aggregator_agents.planning import Corridor, Valuation, plan, tariff_on
from api_spec.period import MarketPeriod
from api_spec.tariffs import TariffPrices
from tests.unit.aggregator_agents.places import FULL_W, quarters, site, vehicle

VALUE = Valuation(waiting_eur_per_mwh_hour=10)


def below(ceiling_w: np.ndarray) -> Corridor:
    """Only a ceiling, at 500 EUR/MWh above it."""
    return Corridor(ceiling_w, np.zeros_like(ceiling_w), np.full_like(ceiling_w, 500.0))


def test_a_vehicle_alone_charges_at_once_and_waiting_costs_half_an_hour_on_average() -> None:
    planned = plan(site(), [vehicle()], quarters(16), VALUE)

    assert planned.total_w == pytest.approx([FULL_W] * 4 + [0.0] * 12)
    assert planned.cost_eur == pytest.approx(0.5 * 10 * FULL_W * 1e-6)


def test_two_plugs_of_a_charger_share_its_16_amps() -> None:
    both = [vehicle("lot-1-1"), vehicle("lot-1-2")]
    planned = plan(site(plugs=2), both, quarters(16), VALUE)

    assert planned.total_w == pytest.approx([FULL_W] * 8 + [0.0] * 8)


def test_two_chargers_share_what_the_fuse_leaves_beside_the_house() -> None:
    both = [vehicle("lot-1-1"), vehicle("lot-2-1")]
    planned = plan(site(chargers=2, fuse_a=25, other_a=5), both, quarters(16), VALUE)

    assert planned.total_w.max() == pytest.approx(20 * 690)
    assert planned.total_w.sum() * 0.25 == pytest.approx(2 * FULL_W)


def test_what_cannot_be_charged_until_departure_is_missing() -> None:
    planned = plan(site(), [vehicle(wants_wh=20_000, stays_h=1)], quarters(16), VALUE)

    assert planned.shortfall_wh == pytest.approx([20_000 - FULL_W])


def test_a_vehicle_draws_nothing_before_it_comes_and_after_it_leaves() -> None:
    planned = plan(site(), [vehicle(after_h=0.5, stays_h=0.6, wants_wh=50_000)], quarters(8), VALUE)

    assert planned.total_w == pytest.approx([0, 0, FULL_W, FULL_W, 0.4 * FULL_W, 0, 0, 0])


def test_below_a_ceiling_the_rest_is_charged_as_soon_as_it_ends() -> None:
    ceiling = np.array([5_000.0] * 4 + [np.inf] * 12)
    corridor = below(ceiling)
    planned = plan(site(), [vehicle()], quarters(16), VALUE, corridor=corridor)

    assert planned.total_w[:4] == pytest.approx([5_000] * 4)
    assert planned.total_w.sum() * 0.25 == pytest.approx(FULL_W)
    assert planned.total_w[7:] == pytest.approx(0.0)


def test_a_driver_who_has_to_leave_full_is_worth_more_than_a_penalty() -> None:
    corridor = below(np.full(4, 5_000.0))
    planned = plan(site(), [vehicle(stays_h=1)], quarters(4), VALUE, corridor=corridor)

    assert planned.shortfall_wh == pytest.approx([0.0])
    assert planned.total_w == pytest.approx([FULL_W] * 4)


def test_an_empty_site_draws_nothing() -> None:
    planned = plan(site(), [], quarters(4), VALUE)

    assert planned.total_w.tolist() == [0.0] * 4
    assert planned.cost_eur == 0


def test_a_tariff_that_saves_more_than_waiting_costs_moves_charging_to_the_cheap_hours() -> None:
    """One hour of charging: at once for 300, or two hours later for 100 at 10 EUR/MWh for every hour of waiting."""
    tariff = np.array([300.0] * 8 + [100.0] * 8)
    planned = plan(site(), [vehicle()], quarters(16), VALUE, tariff_eur_per_mwh=tariff)

    assert planned.total_w == pytest.approx([0.0] * 8 + [FULL_W] * 4 + [0.0] * 4)
    assert planned.cost_eur == pytest.approx((100 + 2.5 * 10) * FULL_W * 1e-6)


def test_a_period_without_a_known_price_has_the_mean_of_those_that_are_known() -> None:
    period = quarters(4)
    known = TariffPrices(
        tariff="tar",
        period=MarketPeriod(start=period.start, resolution=2 * period.resolution, count=1),
        energy_eur_per_mwh=(Decimal(80),),
        critical_eur_per_kw=(Decimal(0),),
        peak_eur_per_kw_month=(Decimal(0),),
    )
    assert tariff_on(period, known) == pytest.approx([80] * 4)
    assert tariff_on(period, None) == pytest.approx([0] * 4)
