"""Prequalification: tolerances, the network's limits in AC, and the DSO's word.

The street is one cable of 400 V without resistance, rated 20 A: it carries sqrt(3) x 400 V x 20 A = 13 856 W.
"""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from api_spec.grid import Network
from api_spec.prequalification import DecisionTerms, Prequalification
from api_spec.product import Product, Tolerances
from api_spec.resource import Location, ReferenceLoad, Resource, ResourceAttributes, pseudonym
from market.errors import NoSuchStep, NotAdmitted
from market.orderbook.prequalification import NEXT, Assessment, application_of, assess, changed, decided
from market.orderbook.resources import admit_reference_load, admit_resource, capacities
from tests.small_cases import Document, bus, line, load, phase_line

NOW = datetime(2026, 1, 14, 12, tzinfo=UTC)
CARRIED_W = 13_856


def street(**cable: Any) -> Network:
    ends = [bus("s", nominal_v=400), bus("far", nominal_v=400, min_pu=0.9, max_pu=1.1)]
    wire = line("l1", "s", "far", **{"r_ohm": 0.0, "x_ohm": 1e-6, "rating_a": 20.0, **cable})
    return Network.model_validate(
        {"name": "street", "phases": 1, "source": {"bus": "s"}, "buses": ends, "lines": [wire]}
    )


def resource(**change: Any) -> Resource:
    terms: Document = {
        "id": "res-1",
        "participant": "agg",
        "version": 1,
        "registered_at": NOW,
        "connection": "9f86d081884c7d65",
        "network": "street",
        "bus": "far",
        "capability": "V1G",
        "reducible_w": 10_000,
        "increasable_w": 10_000,
    }
    return Resource.model_validate({**terms, **change})


def product(**change: Any) -> Product:
    prices = {"price_cap_eur_per_mwh": Decimal(900), "penalty_eur_per_mwh": Decimal(100)}
    return Product.model_validate({"name": "day", **prices, **change})


def reference(*p_w: float) -> ReferenceLoad:
    return ReferenceLoad.model_validate({"injections": [load("far", *p_w)]})


def application(assessment: Assessment) -> Prequalification:
    return application_of(resource(), product(), assessment, id="pre-1", now=NOW)


def test_what_the_cable_carries_is_qualified() -> None:
    assessment = assess(resource(), product(), street(), None)

    assert assessment == Assessment(10_000, 10_000, ())
    assert application(assessment).state == "applied"


def test_what_the_cable_does_not_carry_is_cut_to_what_it_does() -> None:
    """20 kW behind 13.856 kW."""
    assessment = assess(resource(increasable_w=20_000), product(), street(), None)

    assert assessment.increasable_w == CARRIED_W
    assert assessment.reducible_w == 10_000
    (finding,) = assessment.findings
    assert (finding.check, finding.unit, finding.bound) == ("grid", "A", 20.0)
    assert finding.value == pytest.approx(20_000 / CARRIED_W * 20, rel=1e-4)
    assert finding.detail == "increase by 20000 W at no load: l1 carries 28.9 A, its rating is 20.0 A"


def test_the_reference_load_takes_its_part_of_the_cable() -> None:
    """10 kW leave 3.856 kW; in the other state, 2 kW leave more and do not matter."""
    assessment = assess(resource(), product(), street(), reference(2_000, 10_000))

    assert assessment.increasable_w == CARRIED_W - 10_000
    assert "at reference state 2" in assessment.findings[0].detail


def test_a_state_that_is_broken_by_itself_bars_only_what_makes_it_worse() -> None:
    """15 kW are more than the cable carries: nothing more can be drawn, and all can be reduced."""
    assessment = assess(resource(), product(), street(), reference(15_000))

    assert (assessment.reducible_w, assessment.increasable_w) == (10_000, 0)


def test_only_what_can_feed_back_is_checked_beside_no_load() -> None:
    """A reduction by 20 kW where nothing else is drawn feeds 20 kW back into a cable that carries 13.856 kW."""
    both = {"reducible_w": 20_000, "increasable_w": 0}

    assert assess(resource(capability="V2G", **both), product(), street(), None).reducible_w == CARRIED_W
    assert assess(resource(capability="V1G", **both), product(), street(), None).reducible_w == 20_000


def test_voltage_limits_count_too() -> None:
    """1 ohm at 400 V: v = (1 + sqrt(1 - 4 x 1 ohm x P / (400 V)^2)) / 2 = 0.9 at P = 14 400 W."""
    weak = street(r_ohm=1.0, x_ohm=1e-9, rating_a=None)
    assessment = assess(resource(increasable_w=20_000), product(), weak, None)

    assert assessment.increasable_w == 14_400
    assert (assessment.findings[0].unit, assessment.findings[0].bound) == ("pu", 0.9)


def test_a_power_flow_without_solution_is_a_limit() -> None:
    """At 1 ohm and 400 V no more than (400 V)^2 / 4 / 1 ohm = 40 kW can be drawn at all."""
    weak = street(r_ohm=1.0, x_ohm=1e-9, rating_a=None)
    assessment = assess(resource(increasable_w=50_000), product(), weak, None)

    assert assessment.increasable_w == 14_400
    assert assessment.findings[0].detail == "increase by 50000 W: the power flow has no solution at no load"


def test_a_single_phase_carries_a_third() -> None:
    """One conductor rated 20 A at 400 V between phases: 20 A x 400 V / sqrt(3) = 4 618 W."""
    ends = [bus("s", nominal_v=400), bus("far", nominal_v=400)]
    wires = [phase_line("l1", "s", "far", r_ohm=1e-6, x_ohm=0.0, rating_a=20.0)]
    network = Network.model_validate(
        {"name": "street", "phases": 3, "source": {"bus": "s"}, "buses": ends, "lines": wires}
    )

    assert assess(resource(phase="b"), product(), network, None).increasable_w == 4_618
    assert assess(resource(), product(), network, None).increasable_w == 10_000


def test_only_the_products_direction_counts() -> None:
    assessment = assess(resource(increasable_w=20_000), product(direction="reduction"), street(), None)
    assert assessment == Assessment(10_000, 0, ())

    none = assess(resource(reducible_w=0), product(direction="reduction"), street(), None)
    assert [each.check for each in none.findings] == ["direction"]
    assert none.state == "refused"


@pytest.mark.parametrize(
    ("asked", "own", "check"),
    [
        ({"min_accuracy": 0.95}, {"accuracy": 0.94}, "accuracy"),
        ({"min_accuracy": 0.95}, {}, "accuracy"),
        ({"max_deviation": 0.05}, {"deviation": 0.06}, "deviation"),
        ({"max_activation": "PT30S"}, {"activation": "PT31S"}, "activation"),
        ({"min_ramp_w_per_s": 50}, {"ramp_up_w_per_s": 500, "ramp_down_w_per_s": 49}, "ramp"),
        ({"min_ramp_w_per_s": 50}, {"ramp_up_w_per_s": 500}, "ramp"),
    ],
)
def test_every_tolerance_can_refuse_and_says_so(asked: Document, own: Document, check: str) -> None:
    attributes = ResourceAttributes.model_validate_json(json.dumps(own))
    tolerances = Tolerances.model_validate_json(json.dumps(asked))

    assessment = assess(resource(attributes=attributes), product(tolerances=tolerances), street(), None)

    assert assessment.state == "refused"
    assert [each.check for each in assessment.findings] == [check]


def test_attributes_at_their_bounds_pass() -> None:
    asked = Tolerances(min_accuracy=0.95, max_deviation=0.05, max_activation=timedelta(seconds=30), min_ramp_w_per_s=50)
    own = ResourceAttributes(
        accuracy=0.95, deviation=0.05, activation=timedelta(seconds=30), ramp_up_w_per_s=50, ramp_down_w_per_s=50
    )

    assert assess(resource(attributes=own), product(tolerances=asked), street(), None).findings == ()


def test_past_deliveries_count_where_the_product_asks_for_reliability() -> None:
    asked = product(tolerances=Tolerances(min_reliability=0.8))

    assert assess(resource(), asked, street(), None).state == "applied", "without any record it counts as reliable"
    late = assess(resource(), asked, street(), None, reliability=0.79)
    assert (late.state, late.findings[0].value, late.findings[0].bound) == ("refused", 0.79, 0.8)


def test_the_dso_confirms_for_all_or_for_what_is_carried_and_can_refuse() -> None:
    whole = application(assess(resource(), product(), street(), None))
    part = application(assess(resource(increasable_w=20_000), product(), street(), None))
    confirmed, refused = DecisionTerms(answer="confirmed"), DecisionTerms(answer="refused", reason="works at the cable")

    assert decided(whole, confirmed, now=NOW).state == "qualified"
    assert decided(part, confirmed, now=NOW).state == "conditional"
    after = decided(decided(whole, confirmed, now=NOW), refused, now=NOW)
    assert (after.state, after.reason, after.version) == ("refused", "works at the cable", 3)
    with pytest.raises(ValidationError, match="say why it is refused"):
        DecisionTerms(answer="refused")


def test_an_application_takes_no_step_that_the_machine_does_not_have() -> None:
    first = application(Assessment(1, 1, ()))
    for state, following in NEXT.items():
        for wanted in NEXT:
            at = first.model_copy(update={"state": state})
            if wanted in following:
                assert changed(at, wanted, now=NOW).state == wanted
            else:
                with pytest.raises(NoSuchStep):
                    changed(at, wanted, now=NOW)


@pytest.mark.parametrize(
    "reference", ["871687120000012345", "8716-8712-0000-012345", "ean871687120000012345", "EAN_871687120000012345"]
)
def test_the_market_takes_no_meter_numbers(reference: str) -> None:
    with pytest.raises(ValidationError, match="looks like a meter's number"):
        resource(connection=reference)


def test_a_pseudonym_is_the_same_again_under_its_key_only() -> None:
    own = pseudonym("871687120000012345", key=b"secret")

    assert resource(connection=own).connection == own
    assert own == pseudonym("871687120000012345", key=b"secret")
    assert own != pseudonym("871687120000012345", key=b"another")
    assert "8716" not in own


def test_a_location_is_coarse() -> None:
    Location(latitude=55.69, longitude=12.1)
    with pytest.raises(ValidationError, match="would point at a home"):
        Location(latitude=55.694, longitude=12.1)


def test_resources_and_reference_loads_are_held_against_the_network() -> None:
    with pytest.raises(NotAdmitted, match='/bus: no bus "fra" on network "street" \\(did you mean "far"\\?\\)'):
        admit_resource(resource(bus="fra"), street())
    with pytest.raises(NotAdmitted, match="/phase: a balanced network has no phases"):
        admit_resource(resource(phase="a"), street())
    with pytest.raises(NotAdmitted, match="/injections/0/bus"):
        admit_reference_load(ReferenceLoad.model_validate({"injections": [load("fra", 1.0)]}), street())
    with pytest.raises(NotAdmitted, match="cannot carry this load"):
        admit_reference_load(reference(1_000, 50_000), street(r_ohm=1.0))
    with pytest.raises(ValidationError, match="the first injection has 2 states"):
        ReferenceLoad.model_validate({"injections": [load("far", 1.0, 2.0), load("far", 1.0)]})


def test_a_dso_sees_sums_over_all_participants() -> None:
    own = resource(id="res-1")
    other = resource(id="res-2", participant="other", reducible_w=500, increasable_w=0)
    feeding = resource(id="res-3", capability="V2G")

    v1g, v2g = capacities([own, other, feeding])

    assert (v1g.bus, v1g.capability, v1g.resources, v1g.reducible_w, v1g.increasable_w) == (
        "far",
        "V1G",
        2,
        10_500,
        10_000,
    )
    assert (v2g.capability, v2g.resources) == ("V2G", 1)
