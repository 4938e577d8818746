"""What the DSO may call in an auction, by hand: 10 kW of baseline in each of two hours unless said otherwise."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from api_spec.auction import Auction
from api_spec.contracts import Contract
from api_spec.flexibility import FlexOffer, FlexRequest
from api_spec.metering import Baseline, BusPower
from api_spec.period import MarketPeriod
from api_spec.product import Product
from api_spec.units import series
from market.instruments.rights import Right, Use, rights_in_force
from market.instruments.terms import offered_w
from tests.contracted import bilateral, dimming, in_force, interruptible, variable
from tests.small_cases import block, curve

EIGHT = datetime(2026, 1, 15, 8, tzinfo=UTC)
_OFFER: TypeAdapter[FlexOffer] = TypeAdapter(FlexOffer)
_REQUEST: TypeAdapter[FlexRequest] = TypeAdapter(FlexRequest)
DAY = date(2026, 1, 15)


def auction(
    start: datetime = EIGHT, count: int = 2, energy: tuple[float, ...] | None = None, **product: Any
) -> Auction:
    return Auction.model_validate(
        {
            "id": "auc",
            "dso": "dso",
            "network": "street",
            "state": "clearing",
            "product": Product(
                name="day", price_cap_eur_per_mwh=Decimal(900), penalty_eur_per_mwh=Decimal(100), **product
            ),
            "delivery": MarketPeriod(start=start, resolution=timedelta(hours=1), count=count),
            "gate_closure": start - timedelta(hours=12),
            "energy_price_eur_per_mwh": energy,
        }
    )


def nominated(*power_w: int, participant: str = "agg") -> Baseline:
    return Baseline(
        buses=(BusPower(bus="far", power_w=power_w),),
        auction="auc",
        participant=participant,
        version=1,
        nominated_at=EIGHT,
        frozen=True,
    )


def offer(document: dict[str, Any]) -> FlexOffer:
    return _OFFER.validate_python(document)


def request(max_price: float | None = 800) -> FlexRequest:
    limit = {"id": "r", "kind": "capacity", "element": "l1", "import_limit_w": 20_000}
    return _REQUEST.validate_python({**limit, "max_price_eur_per_mwh": max_price})


def rights(
    *contracts: Contract,
    baseline: tuple[int, ...] = (10_000, 10_000),
    offers: Sequence[FlexOffer] = (),
    requests: Sequence[FlexRequest] | None = None,
    uses: Sequence[Use] = (),
    market: Auction | None = None,
) -> tuple[Right, ...]:
    return rights_in_force(
        market or auction(count=len(baseline)),
        contracts,
        baselines=[nominated(*baseline)],
        offers=offers,
        requests=[request()] if requests is None else requests,
        uses=uses,
    )


def powers(found: Sequence[Right]) -> list[tuple[int, ...]]:
    return [offered_w(each.offer) for each in found]


def asks(right: Right) -> tuple[float, ...]:
    assert right.offer.kind == "curve"
    return tuple(map(float, series(right.offer.steps[0].price_eur_per_mwh, 2)))


def test_dimming_reaches_from_the_baseline_to_the_guaranteed_minimum() -> None:
    """10 and 3 kW of an 11 kW charge point that keeps 4.2 kW: 5.8 kW, and nothing."""
    (right,) = rights(in_force(dimming(11_000)), baseline=(10_000, 3_000))
    assert powers([right]) == [(-5_800, 0)]
    assert (right.offer.id, right.offer.participant, right.offer.bus) == ("right:con-1:2026-01-15", "agg", "far")
    assert right.price_eur_per_mwh == 0


def test_two_connections_at_a_bus_keep_both_their_minima() -> None:
    """17 kW in all, each keeps 4.2 kW and can be dimmed by 6.8: the first by that, the second by 17 - 6.8 - 8.4."""
    found = rights(in_force(dimming(11_000), "a"), in_force(dimming(11_000), "b"), baseline=(17_000,))
    assert powers(found) == [(-6_800,), (-1_800,)]


def test_a_right_covers_what_the_participants_own_offers_leave() -> None:
    """10 kW less 4 kW offered, less the minimum of 4.2 kW: 1.8 kW. Somebody else's offer takes nothing."""
    own, others = offer(curve("off", "far", (-4_000, 50), count=2)), curve("x", "far", (-9_000, 50), count=2)
    contract = in_force(dimming(11_000))
    assert powers(rights(contract, offers=[own])) == [(-1_800, -1_800)]
    assert powers(rights(contract, offers=[offer({**others, "participant": "other"})])) == [(-5_800, -5_800)]


def test_an_offer_to_consume_more_takes_nothing_from_a_right_to_less() -> None:
    own = offer(block("off", "far", (-4_000, 4_000), 50))
    assert powers(rights(in_force(dimming(11_000)), offers=[own])) == [(-1_800, -5_800)]


def test_contracts_share_what_is_there_the_sold_one_first() -> None:
    """10 kW: bilateral 5 kW, then 5 kW are left: interruptible above 4 kW takes 1 kW, dimming (4.2 kW) nothing."""
    found = rights(in_force(dimming(11_000), "c"), in_force(interruptible(), "b"), in_force(bilateral(), "a"))
    assert [(each.contract, offered_w(each.offer)) for each in found] == [
        ("a", (-5_000, -5_000)),
        ("b", (-1_000, -1_000)),
    ]


def test_without_a_nominated_baseline_there_is_nothing_to_call() -> None:
    contract = in_force(dimming(11_000).model_copy(update={"participant": "other"}))
    assert rights(contract) == ()


def test_a_bilateral_contract_is_called_in_its_windows_by_the_local_clock() -> None:
    """09:00 to 10:00 in Berlin is 08:00 to 09:00 UTC in winter."""
    contract = in_force(bilateral(windows=[{"start": "09:00", "end": "10:00"}]))
    assert powers(rights(contract)) == [(-5_000, 0)]


def test_a_call_more_than_the_day_has_left_is_none() -> None:
    contract = in_force(bilateral(max_calls_per_day=1))
    yesterday = Use("con-1", date(2026, 1, 14), Fraction(1), Fraction(500))
    assert powers(rights(contract, uses=[yesterday])) == [(-5_000, -5_000)]
    assert rights(contract, uses=[Use("con-1", DAY, Fraction(1), Fraction(500))]) == ()
    assert len(rights(contract, uses=[Use("con-1", DAY, Fraction(0), Fraction(0))])) == 1, "called for nothing"


def test_energy_left_of_a_day_bounds_what_may_be_called() -> None:
    """8 kWh a day of which 2 are used: 5 kW in each hour, and 6 kWh in both."""
    use = Use("con-1", DAY, Fraction(1), Fraction(2_000))
    (right,) = rights(in_force(bilateral(max_energy_wh_per_day=8_000)), uses=[use])
    assert right.offer.kind == "envelope"
    assert (right.offer.power_w_min, right.offer.energy_wh_min) == ((-5_000, -5_000), (-6_000, -6_000))


def test_every_local_day_has_a_right_of_its_own() -> None:
    """From 22:00 UTC, 23:00 in Berlin: one hour of the first day, one of the next."""
    late = datetime(2026, 1, 15, 22, tzinfo=UTC)
    found = rights(in_force(bilateral(max_calls_per_day=1)), market=auction(late))
    assert [(each.day, offered_w(each.offer)) for each in found] == [
        (date(2026, 1, 15), (-5_000, 0)),
        (date(2026, 1, 16), (0, -5_000)),
    ]


def test_an_interruptible_connection_is_called_down_to_its_firm_part_in_the_hours_it_has_left() -> None:
    """99 of 100 hours are used; one is left, and is kept for the hour with most above the 4 kW."""
    contract, use = in_force(interruptible()), Use("con-1", date(2026, 1, 2), Fraction(99), Fraction(1))
    assert powers(rights(contract, baseline=(10_000, 12_000))) == [(-6_000, -8_000)]
    assert powers(rights(contract, baseline=(10_000, 12_000), uses=[use])) == [(0, -8_000)]
    assert rights(contract, uses=[use, use]) == ()


def test_notice_counts_from_the_gate() -> None:
    """The gate closes 12 h before delivery: 13 h of notice leave the second hour only."""
    assert powers(rights(in_force(interruptible(notice="PT13H")))) == [(0, -6_000)]


def test_a_scheduled_maximum_is_no_right_and_a_dynamic_one_can_be_lowered() -> None:
    assert rights(in_force(variable(12_000))) == ()
    lowered = in_force(variable(12_000, lowered_to_w=7_000, lowering_price_eur_per_mwh=90))
    (right,) = rights(lowered, baseline=(10_000, 6_000))
    assert (powers([right]), int(right.price_eur_per_mwh)) == ([(-3_000, 0)], 90)


def test_a_contract_is_not_called_after_its_end() -> None:
    ended = in_force(bilateral()).model_copy(update={"ended_at": EIGHT + timedelta(hours=1)})
    assert powers(rights(ended)) == [(-5_000, 0)]


def test_an_auction_of_reservations_or_of_increases_calls_no_reduction() -> None:
    contract = in_force(bilateral())
    assert rights(contract, market=auction(stage="reservation")) == ()
    assert rights(contract, market=auction(direction="increase")) == ()
    assert powers(rights(in_force(bilateral(4_000)), market=auction(direction="increase"))) == [(4_000, 4_000)]


def test_without_a_limit_that_is_asked_for_nothing_is_called() -> None:
    losses = _REQUEST.validate_python({"id": "r", "kind": "losses", "price_eur_per_mwh": 50})
    assert rights(in_force(bilateral()), requests=[]) == ()
    assert rights(in_force(bilateral()), requests=[losses]) == ()


def test_a_right_is_asked_for_at_the_contracts_price_beside_the_price_of_energy() -> None:
    """Less consumption saves energy worth 40 and 60: it is asked for at 150 above; more costs it: 150 below."""
    energy = auction(energy=(40, 60))
    assert asks(rights(in_force(bilateral()), market=energy)[0]) == (190, 210)
    assert asks(rights(in_force(bilateral(4_000)), market=energy)[0]) == (110, 90)


def test_last_resort_asks_more_than_everything_else_and_less_than_an_unmet_limit() -> None:
    """A tenth and 1 EUR/MWh above the dearest of offers (200) and other contracts (150); at most 800/1.1."""
    own = offer(curve("off", "far", (-1_000, 200), count=2))
    contract = in_force(dimming(11_000))
    (right,) = rights(contract, offers=[own], requests=[request(800)])
    assert asks(right) == (221, 221)
    free = in_force(dimming(11_000, last_resort=False, compensation_eur_per_mwh=30))
    assert asks(rights(free, offers=[own])[0]) == (30, 30)
    bound = rights(contract, offers=[offer(curve("off", "far", (-1_000, 790), count=2))], requests=[request(800)])
    assert asks(bound[0]) == (727.272727, 727.272727)
    after_contract = rights(contract, in_force(bilateral(-1_000), "a"), requests=[request(None)])
    assert [asks(each) for each in after_contract] == [(150, 150), (166, 166)]


@given(
    baseline=st.tuples(st.integers(0, 60_000), st.integers(0, 60_000)),
    offered=st.integers(0, 60_000),
    sold=st.integers(1, 30_000),
    firm=st.integers(0, 30_000),
    rated=st.lists(st.integers(4_201, 22_000), min_size=1, max_size=4),
)
def test_whatever_is_accepted_no_connection_is_dimmed_below_its_minimum(
    baseline: tuple[int, int], offered: int, sold: int, firm: int, rated: list[int]
) -> None:
    """All offers and rights accepted together: what dimming takes still leaves the sum of the minima."""
    own = offer(curve("off", "far", (-offered, 50), count=2))
    obligations = [in_force(dimming(w), f"dim-{at}") for at, w in enumerate(rated)]
    contracts = [*obligations, in_force(bilateral(-sold), "bil"), in_force(interruptible(firm), "int")]
    found = rights(*contracts, baseline=baseline, offers=[own])
    for period in range(2):
        taken = sum(offered_w(each.offer)[period] for each in found)
        dimmed = sum(offered_w(each.offer)[period] for each in found if each.contract.startswith("dim"))
        if dimmed:
            assert baseline[period] - offered + taken >= 4_200 * len(rated)
        assert baseline[period] - offered + taken >= min(0, baseline[period] - offered)
