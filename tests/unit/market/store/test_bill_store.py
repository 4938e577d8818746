"""Bills are found again without reading a year of them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine

from api_spec.calendar import Span
from api_spec.contracts import ContractTransfer
from api_spec.grid import Network
from api_spec.organisation import Organisation
from api_spec.tariffs import Bill, Tariff
from market.store import UnitOfWork, migrate, open_engine
from tests.small_cases import bus, chain

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NETWORK = Network.model_validate(
    {"name": "small", "phases": 1, "source": {"bus": "s"}, "buses": [bus("s"), bus("far")], "lines": chain("s", "far")}
)
TARIFF = Tariff.model_validate(
    {
        "id": "tar",
        "dso": "grid",
        "registered_at": JANUARY,
        "name": "homes",
        "network": "small",
        "zone": "UTC",
        "valid_from": JANUARY,
        "components": [{"name": "energy", "kind": "energy", "price_eur_per_mwh": 60}],
    }
)
BUSES = ("o-1", "o-11", "o_1", 'o"1', "ø-%")
"""Names that hold each other, and all that a pattern or JSON could stumble over."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'market.db'}", durable=False)
    migrate(engine)
    with UnitOfWork(engine) as work:
        grid = Organisation(id="grid", name="grid", role="dso")
        work.participants.add(grid, client_id="grid", secret_hash="#", now=JANUARY)
        work.participants.add_network(NETWORK, dso="grid", now=JANUARY)
        work.tariffs.add(TARIFF)
        work.commit()
    yield engine
    engine.dispose()


def made(place: str, day: int, *, participant: str = "homes", correction: bool = False) -> Bill:
    """Provisional, of a month of 30 days, made after so many days; numbered by them and its place."""
    month, version = day // 30, 2 if correction else 1
    return Bill(
        id=f"{participant} {place} {day}",
        version=version,
        tariff="tar",
        dso="grid",
        participant=participant,
        bus=place,
        start=JANUARY + 30 * month * DAY,
        end=JANUARY + 30 * (month + 1) * DAY,
        contracted_power_w=0,
        provisional=True,
        billed_at=JANUARY + day * DAY,
        metered_minutes=1440 * (day % 30 + 1),
        missing_minutes=0,
        lines=(),
        total_eur=Decimal(day),
    )


def test_the_last_bill_of_a_place_is_the_one_that_all_bills_tell(engine: Engine) -> None:
    """Sixty days, five places, two participants, made day by day: the 59th of each, and none for who has none."""
    with UnitOfWork(engine) as work:
        work.bills.add(made("o-1", 0))
        for day in range(1, 60):
            for participant in ("homes", "lot"):
                for place in BUSES:
                    work.bills.add(made(place, day, participant=participant))
        work.bills.add(made("o-1", 0, correction=True))
        work.commit()

    with UnitOfWork(engine, reading=True) as work:
        everything = work.bills.newest("tar")
        for place in BUSES:
            mine = [each for each in everything if (each.participant, each.bus) == ("homes", place)]
            assert work.bills.latest("tar", participant="homes", bus=place) == mine[-1] == made(place, 59)
            assert work.bills.newest("tar", participant="homes", bus=place) == mine
        assert work.bills.latest("tar", participant="homes", bus="o") is None
        assert work.bills.latest("another", participant="homes", bus="o-1") is None


def test_a_time_is_paid_for_where_some_of_it_is(engine: Engine) -> None:
    """Paid for the second day: the days beside it are free, half of it is not, and what was called is another thing."""
    paid = ContractTransfer(
        id="one",
        contract="con",
        start=JANUARY + DAY,
        end=JANUARY + 2 * DAY,
        debit="dso:grid",
        credit="participant:homes",
        amount_eur=Decimal(1),
        memo="availability",
        at=JANUARY + 2 * DAY,
    )
    with UnitOfWork(engine) as work:
        work.contracts.post([paid])
        work.commit()

    def found(first: float, last: float, contract: str = "con") -> list[ContractTransfer]:
        with UnitOfWork(engine, reading=True) as work:
            return work.contracts.paid_between(contract, Span(start=JANUARY + first * DAY, end=JANUARY + last * DAY))

    assert found(1.5, 3) == found(0, 1.5) == found(1, 2) == [paid]
    assert found(0, 1) == found(2, 3) == found(1, 2, "another") == []
