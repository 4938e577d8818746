"""What contracts let a connection draw."""

from typing import Any

import numpy as np
from pydantic import TypeAdapter

from aggregator_agents.capacity import Capacity, left_w
from api_spec.contracts import AnyContractTerms, Contract
from tests.unit.aggregator_agents.places import HOUR, NOON

TERMS: TypeAdapter[AnyContractTerms] = TypeAdapter(AnyContractTerms)
STARTS = (NOON, NOON + HOUR, NOON + 2 * HOUR)


def contract(*, accepted: bool = True, **terms: Any) -> Contract:
    whose = {"participant": "agg", "network": "street", "bus": "lot", "zone": "UTC", "valid_from": NOON - HOUR}
    own = TERMS.validate_python({**whose, **terms})
    agreed = NOON - HOUR if accepted else None
    return Contract(id="con", version=1, dso="dso", terms=own, proposed_at=NOON - HOUR, accepted_at=agreed)


def varying(**given: Any) -> Contract:
    """11 kW, but 4 kW from 13 to 14 o'clock."""
    bands = [{"windows": [{"start": "13:00", "end": "14:00"}], "max_power_w": 4_000}]
    return contract(**{"kind": "variable_capacity", "max_power_w": 11_000, "bands": bands, **given})


def most_w(*contracts: Contract) -> list[float]:
    found = Capacity.at("lot", contracts, network="street", now=NOON).most_w(STARTS)
    return [float(each) for each in found]


def test_the_first_band_that_holds_counts() -> None:
    assert most_w(varying()) == [11_000, 4_000, 11_000]


def test_contracts_of_one_connection_add_up() -> None:
    assert most_w(varying(), varying(bands=[])) == [22_000, 15_000, 22_000]


def test_what_is_not_in_force_or_about_another_connection_limits_nothing() -> None:
    nothing = [np.inf] * 3
    assert most_w(varying(accepted=False)) == nothing
    assert most_w(varying(bus="elsewhere")) == nothing
    assert most_w(varying(network="elsewhere")) == nothing
    assert most_w(varying(valid_until=NOON)) == nothing


def test_what_a_called_contract_leaves() -> None:
    devices = [{"kind": "charge_point", "rated_power_w": 11_040}]
    assert left_w(contract(kind="dimming_obligation", devices=devices).terms) == 4_200
    firm = contract(kind="interruptible_connection", firm_w=3_000, non_firm_w=8_000, max_hours_per_year=10)
    assert left_w(firm.terms) == 3_000
    assert left_w(varying(lowered_to_w=2_000).terms) == 2_000
    assert left_w(contract(kind="bilateral", power_w=-5_000, activation_price_eur_per_mwh=50).terms) is None
