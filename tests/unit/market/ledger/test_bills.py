"""Bills in the ledger: by pencil, and deltas that sum to a bill from scratch."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api_spec.calendar import Span
from api_spec.tariffs import Bill, BillTransfer, Tariff
from market.instruments.billing import Use, charges, received_eur, total_eur
from market.instruments.metered import Metered
from market.instruments.pricing import nodal_prices
from market.ledger.bills import bill_transfers

START = datetime(2026, 1, 14, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = Span(start=START, end=START + 24 * HOUR)
LATER = START + timedelta(days=9)
TARIFF = Tariff.model_validate(
    {
        "id": "tar",
        "dso": "grid",
        "registered_at": START,
        "name": "homes",
        "network": "street",
        "zone": "UTC",
        "valid_from": START,
        "components": [
            {"name": "energy", "kind": "energy", "price_eur_per_mwh": 33.333333},
            {"name": "levy", "kind": "energy", "price_eur_per_mwh": -77.777777},
        ],
    }
)


def bill(total: str, rounding: str = "0", *, version: int = 1, provisional: bool = False) -> Bill:
    return Bill(
        id="bill-1",
        version=version,
        tariff="tar",
        dso="grid",
        participant="homes",
        bus="far",
        start=DAY.start,
        end=DAY.end,
        contracted_power_w=0,
        provisional=provisional,
        billed_at=LATER,
        metered_minutes=0,
        missing_minutes=0,
        lines=(),
        total_eur=Decimal(total),
        rounding_eur=Decimal(rounding),
    )


def told(transfers: Iterable[BillTransfer]) -> list[tuple[str, str, str]]:
    return [(each.debit, each.credit, str(each.amount_eur)) for each in transfers]


def balances(transfers: Iterable[BillTransfer]) -> dict[str, Decimal]:
    balance: dict[str, Decimal] = defaultdict(Decimal)
    for each in transfers:
        balance[each.debit] -= each.amount_eur
        balance[each.credit] += each.amount_eur
    return balance


def test_the_participant_pays_the_dso_and_what_rounding_left() -> None:
    """Of 5.0003 EUR the DSO gets 5.0001, and the rounding's account the rest."""
    posted = bill_transfers(bill("5.0003", "0.0002"), (), at=LATER)
    assert told(posted) == [
        ("participant:homes", "dso:grid", "5.0001"),
        ("participant:homes", "rounding:bill-1", "0.0002"),
    ]
    assert {each.memo for each in posted} == {"bill"}


def test_rounding_can_be_owed_to_the_participant() -> None:
    """Lines come to nothing, their exact sum to 0.0001: the account of rounding gives what the DSO gets."""
    assert told(bill_transfers(bill("0", "-0.0001"), (), at=LATER)) == [
        ("participant:homes", "dso:grid", "0.0001"),
        ("rounding:bill-1", "participant:homes", "0.0001"),
    ]


def test_a_correction_moves_the_difference_alone() -> None:
    """5 EUR become 3: 2 EUR go back."""
    first = bill_transfers(bill("5"), (), at=START)
    back = bill_transfers(bill("3", version=2), first, at=LATER)
    assert told(back) == [("dso:grid", "participant:homes", "2")]
    assert [(each.memo, each.version) for each in back] == [("correction", 2)]
    assert bill_transfers(bill("3", version=3), (*first, *back), at=LATER) == ()


def test_provisional_bills_move_no_money() -> None:
    assert bill_transfers(bill("5", provisional=True), (), at=LATER) == ()


def metered(powers: list[int], version: int) -> Bill:
    """A version of the bill of a day from its hours' powers [W]."""
    series = [Metered(START + k * HOUR, HOUR, w) for k, w in enumerate(powers)]
    charged = charges(TARIFF, Use(DAY, series, 0, (), nodal_prices([], None)))
    total = total_eur(charged)
    amounts: dict[str, Any] = {"total_eur": total, "rounding_eur": total - received_eur(charged)}
    lines = tuple(each.line for each in charged)
    return bill("0", version=version).model_copy(update={**amounts, "lines": lines})


@given(
    st.lists(st.integers(0, 40), min_size=24, max_size=24),
    st.lists(st.tuples(st.integers(0, 23), st.integers(0, 20_000)), max_size=8),
)
def test_deltas_of_any_chain_of_late_readings_sum_to_a_bill_from_scratch(
    powers: list[int], late: list[tuple[int, int]]
) -> None:
    ledger: list[BillTransfer] = []
    for version, (hour, power_w) in enumerate([(0, powers[0]), *late], start=1):
        powers[hour] = power_w
        stands = metered(powers, version)
        ledger += bill_transfers(stands, ledger, at=LATER)
        assert sum(balances(ledger).values()) == 0
        assert all(each.amount_eur > 0 for each in ledger)

    scratch = metered(powers, 1)
    assert (stands.lines, stands.total_eur) == (scratch.lines, scratch.total_eur)
    balance = balances(ledger)
    assert balance["participant:homes"] == -scratch.total_eur
    assert balance["dso:grid"] == scratch.total_eur - scratch.rounding_eur
    assert balance["rounding:bill-1"] == scratch.rounding_eur
    assert {name: amount for name, amount in balance.items() if amount} == {
        name: amount for name, amount in balances(bill_transfers(scratch, (), at=LATER)).items() if amount
    }
    assert len({each.id for each in ledger}) == len(ledger), "no entry is written twice"
