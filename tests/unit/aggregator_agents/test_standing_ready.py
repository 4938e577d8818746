"""What standing ready costs, and what a reservation leaves to be asked on the day."""

from datetime import timedelta
from decimal import Decimal

import pytest

from aggregator_agents.offering.availability import StandingReady, at_most, most_asked
from api_spec.flexibility import BlockTerms, EnvelopeTerms
from api_spec.ids import AuctionId, BusId, NetworkId, OfferId, OrganisationId
from api_spec.period import MarketPeriod
from api_spec.product import Product
from api_spec.reservation import Reservation
from tests.unit.aggregator_agents.places import HOUR, NOON

HOURS = MarketPeriod(start=NOON, resolution=timedelta(hours=1), count=2)
READY = StandingReady(called=0.1, missing=0.05, floor_eur_per_mwh=Decimal(5))


def product(*, cap: int | None = 200, penalty: int = 60, most: int = 300) -> Product:
    return Product(
        name="week",
        stage="reservation",
        direction="reduction",
        price_cap_eur_per_mwh=most,
        penalty_eur_per_mwh=0,
        availability_penalty_eur_per_mwh=penalty,
        activation_cap_eur_per_mwh=cap,
    )


def block(price: int) -> BlockTerms:
    return BlockTerms(kind="block", bus="lot", power_w=(-4000, 4000), price_eur_per_mwh=price)


def reservation(*power_w: int, cap: int | None = 200, bus: str = "lot") -> Reservation:
    return Reservation(
        auction=AuctionId("auc_1"),
        offer=OfferId("off_1"),
        participant=OrganisationId("org_1"),
        network=NetworkId("street"),
        bus=BusId(bus),
        delivery=HOURS,
        power_w=power_w,
        price_eur_per_mwh=(Decimal(5),) * 2,
        activation_cap_eur_per_mwh=None if cap is None else Decimal(cap),
        published_at=NOON - HOUR,
    )


@pytest.mark.parametrize(
    ("energy", "own", "asked"),
    [
        (50, product(), "5"),  # no call costs more than it earns, and 5 % of 60 is less than the floor
        (
            400,
            product(),
            "43",
        ),  # one call in ten loses 200 both ways: 40; and 3 for what may be missing
        (400, product(cap=None), "5"),  # nothing bounds what may be asked on the day
        (50, product(penalty=300), "15"),  # 5 % of 300
    ],
)
def test_availability_costs_what_calls_lose_and_what_may_be_missing(energy: int, own: Product, asked: str) -> None:
    assert READY.price(Decimal(energy), own) == Decimal(asked)


def test_an_offer_of_energy_becomes_one_of_availability_as_far_as_that_is_paid() -> None:
    """The same power; 5 and 43 EUR/MW/h, of which the product pays up to 42; without what comes back it would be 23."""
    (only,) = READY.reserving([block(50), block(400)], product(most=42))
    assert isinstance(only, BlockTerms)
    assert (only.power_w, only.price_eur_per_mwh) == ((-4000, 0), Decimal(5)), "what comes back is part of the call"
    for_good = block(400).model_copy(update={"power_w": (-4000, 0)})
    assert READY.reserving([for_good], product(most=42))[0].price_eur_per_mwh == Decimal(23)


def test_of_an_envelope_as_much_is_reserved_as_can_be_called_before_anything_comes_back() -> None:
    """4 kW in three hours, of which at most 6 kWh are missing after the second and 5 kWh after the third.

    So no more than 5 kWh may be called in all; afterwards nothing can be reduced, and nothing has to come back.
    """
    could = EnvelopeTerms(
        kind="envelope",
        bus="lot",
        power_w_min=(-4000, -4000, -4000, 0),
        power_w_max=(0, 3000, 3000, 7000),
        energy_wh_min=(-4000, -6000, -5000, 0),
        energy_wh_max=(0, 2000, 2000, 0),
        price_eur_per_mwh=50,
    )
    (down,) = READY.reserving([could], product())
    assert isinstance(down, EnvelopeTerms)
    assert (down.power_w_max, down.energy_wh_max) == ((0,) * 4, (0,) * 4)
    assert (down.power_w_min, down.energy_wh_min) == (could.power_w_min, (-4000, -6000, -5000, -5000))
    (up,) = READY.reserving([could], product().model_copy(update={"direction": "increase"}))
    assert isinstance(up, EnvelopeTerms)
    assert (up.power_w_min, up.energy_wh_min) == ((0,) * 4, (0,) * 4)
    assert (up.power_w_max, up.energy_wh_max) == (could.power_w_max, (0, 2000, 2000, 0))
    assert READY.reserving([block(50)], product().model_copy(update={"direction": "increase"})) == ()
    asked = block(50).model_copy(update={"price_eur_per_mwh": Decimal("5.00")})
    assert READY.reserving([block(50)], product().model_copy(update={"direction": "both"})) == (asked,)


def test_what_is_reserved_bounds_what_is_asked_where_and_when_it_is() -> None:
    """200 EUR/MWh in the first hour, 150 in the second; nothing at another bus, after it, or without a cap."""
    both = (reservation(-4000, 0), reservation(0, -2000, cap=150))
    first = MarketPeriod(start=NOON, resolution=HOUR, count=1)
    assert most_asked(both, BusId("lot"), first) == 200
    assert most_asked(both, BusId("lot"), HOURS) == 150
    assert most_asked(both, BusId("yard"), HOURS) is None
    assert most_asked(both, BusId("lot"), MarketPeriod(start=HOURS.end, resolution=HOUR, count=1)) is None
    assert most_asked([reservation(-4000, 0, cap=None)], BusId("lot"), HOURS) is None
    assert [each.price_eur_per_mwh for each in at_most([block(50), block(400)], Decimal(200))] == [50, 200]
