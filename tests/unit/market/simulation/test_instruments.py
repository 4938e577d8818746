"""Tariffs, contracts and supply of a scenario: what their tables mean, and what is wrong with them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from api_spec.defects import defects_of
from api_spec.period import MarketPeriod
from api_spec.tariffs import Bill, BillLine, Tariff
from market.simulation.billing import part_eur
from market.simulation.instruments import ContractTable, SupplyTable, TariffTable
from market.simulation.scenario import Scenario

MID_JANUARY = datetime(2026, 1, 15, 6, tzinfo=UTC)
ENERGY = {"name": "energy", "kind": "energy", "price_eur_per_mwh": 60}
PEAK = {"name": "peak", "kind": "capacity", "price_eur_per_kw_month": 3, "interval": "PT15M"}
DIMMING = {"kind": "dimming_obligation", "devices": [{"kind": "charge_point", "rated_power_w": 11_040}]}
EVENING: dict[str, Any] = {
    "name": "evening",
    "feeder": "risoe",
    "begins": "2026-01-15T06:00Z",
    "gate_closure": "2026-01-15T10:00Z",
    "delivery": {"start": "2026-01-15T12:00Z", "resolution": "PT15M", "count": 4},
    "product": {"name": "day", "price_cap_eur_per_mwh": 900, "penalty_eur_per_mwh": 150},
    "agents": {
        "grid": {"role": "dso", "agent": "a:B"},
        "homes": {"role": "aggregator", "agent": "a:B"},
    },
}


def defects(table: type[Scenario | ContractTable], document: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as refused:
        table.model_validate(document)
    return [(each.pointer, each.reason) for each in defects_of(refused.value, document)]


def test_a_tariff_holds_from_the_beginning_of_the_month_so_that_its_peaks_can_be_billed() -> None:
    """Midnight of 1 January in Copenhagen is 23:00 UTC."""
    table = TariffTable.model_validate({"components": [ENERGY]})

    terms = table.terms("flat", network="risoe", zone="Europe/Copenhagen", begins=MID_JANUARY)

    assert terms.valid_from == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert (terms.name, terms.network) == ("flat", "risoe")


def test_a_contract_is_about_the_connection_that_it_is_put_at() -> None:
    table = ContractTable.model_validate({"terms": DIMMING})

    terms = table.at("org_1", bus="nord-01", network="risoe", zone="UTC", begins=MID_JANUARY)

    assert (terms.participant, terms.bus, terms.kind) == ("org_1", "nord-01", "dimming_obligation")


def test_terms_are_refused_at_their_key() -> None:
    ((place, reason),) = defects(ContractTable, {"terms": {**DIMMING, "bus": "nord-01"}})
    assert (place, reason) == ("/terms/bus", "is what the scenario says")
    ((place, _),) = defects(ContractTable, {"terms": {**DIMMING, "devices": []}})
    assert place == "/terms/devices"


def test_tables_that_name_who_is_not_there_are_refused() -> None:
    tariffs = {"network": {"dso": "homes", "payers": ["homes", "nobody"], "components": [ENERGY]}}
    contracts = {"dimming": {"agents": ["grid"], "terms": DIMMING}}

    assert defects(Scenario, {**EVENING, "tariffs": tariffs, "contracts": contracts}) == [
        ("/tariffs/network/dso", 'no DSO "homes"'),
        ("/tariffs/network/payers/1", 'no aggregator "nobody"'),
        ("/contracts/dimming/agents/0", 'no aggregator "grid"'),
    ]


def test_energy_costs_aggregators_the_price_of_its_hour_and_drivers_one_price() -> None:
    """10 kW for two hours, at 40 and 100 EUR/MWh: 1.40 EUR; drivers pay 20 kWh at 130: 2.60 EUR."""
    hourly = [0.0] * 24
    hourly[6:8] = [40.0, 100.0]
    supply = SupplyTable.model_validate({"price_eur_per_mwh": 130, "cost_eur_per_mwh": hourly})
    delivery = MarketPeriod(start=MID_JANUARY, resolution=timedelta(hours=1), count=2)
    drawn_w = np.array([10_000.0, 10_000.0])

    assert supply.cost_eur(drawn_w, delivery, zone="UTC") == pytest.approx(1.4)
    assert supply.price_eur(drawn_w, delivery) == pytest.approx(2.6)


def test_a_day_is_charged_a_days_part_of_the_months_peak_and_all_of_its_energy() -> None:
    """31 days at 3 EUR/kW: 11 kW cost 33 EUR a month, of which a day of it is metered: 1.0645 EUR, and 0.60 EUR."""
    network = {"name": "both", "network": "risoe", "zone": "UTC", "valid_from": "2026-01-01T00:00Z"}
    tariff = Tariff.model_validate(
        {**network, "components": [ENERGY, PEAK], "id": "tar", "dso": "dso", "registered_at": MID_JANUARY}
    )
    span = {"start": datetime(2026, 1, 1, tzinfo=UTC), "end": datetime(2026, 2, 1, tzinfo=UTC)}
    lines = (
        BillLine(component="energy", detail="", **span, quantity=0.01, unit="MWh", amount_eur=Decimal("0.60")),
        BillLine(component="peak", detail="", **span, quantity=11, unit="kW", amount_eur=Decimal(33)),
    )
    bill = Bill(
        **span,
        participant="agg",
        bus="nord-01",
        contracted_power_w=0,
        provisional=True,
        id="bill",
        tariff="tar",
        dso="dso",
        billed_at=MID_JANUARY,
        metered_minutes=1440,
        missing_minutes=30 * 1440,
        lines=lines,
        total_eur=Decimal("33.60"),
    )

    assert float(part_eur(bill, tariff)) == pytest.approx(0.6 + 33 / 31)
