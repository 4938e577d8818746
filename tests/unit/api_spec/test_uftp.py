"""A statement as UFTP's FlexSettlement: its names, its signs, its numbering of periods."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from api_spec.settlement import SettlementLine, Statement
from api_spec.uftp import FlexSettlement, flex_settlement

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
QUARTER = timedelta(minutes=15)
PLACES = {"lot": "ean.871685900012636543", "far": "ea1.2026-01.market.example:far"}


def line(start: datetime, *, bus: str = "lot", uplift: str = "0", adjustment: str = "0") -> SettlementLine:
    """UFTP's golden case in kW: baseline 10, ordered 2 less, 9 metered: 1 delivered, 1 missing, 7 - 11 = -4."""
    extra = Decimal(uplift) + Decimal(adjustment)
    return SettlementLine(
        bus=bus,
        start=start,
        baseline_w=10_000,
        ordered_w=-2000,
        metered_w=9000,
        delivered_w=-1000,
        deficiency_w=1000,
        price_eur_per_mwh=Decimal(28_000),
        penalty_eur_per_mwh=Decimal(44_000),
        payment_eur=Decimal(7),
        uplift_eur=Decimal(uplift),
        penalty_eur=Decimal(11),
        adjustment_eur=Decimal(adjustment),
        net_eur=Decimal(-4) + extra,
    )


def statement(*lines: SettlementLine) -> Statement:
    return Statement(
        auction="auc-1",
        participant="agg-1",
        version=1,
        baseline_version=3,
        settled_at=lines[-1].start + timedelta(days=1),
        lines=lines,
        payment_eur=sum((each.payment_eur for each in lines), Decimal(0)),
        penalty_eur=sum((each.penalty_eur for each in lines), Decimal(0)),
        net_eur=sum((each.net_eur for each in lines), Decimal(0)),
    )


def mapped(*lines: SettlementLine, resolution: timedelta = QUARTER) -> FlexSettlement:
    return flex_settlement(statement(*lines), PLACES, resolution=resolution, zone=COPENHAGEN)


def test_the_golden_case_under_uftps_names() -> None:
    """23:15 UTC in January is 00:15 in Copenhagen: the second quarter of an hour of the next day."""
    message = mapped(line(datetime(2026, 1, 15, 23, 15, tzinfo=UTC)))

    assert message.model_dump(mode="json") == {
        "PeriodStart": "2026-01-16",
        "PeriodEnd": "2026-01-16",
        "Currency": "EUR",
        "FlexOrderSettlement": [
            {
                "Period": "2026-01-16",
                "OrderReference": "auc-1:lot",
                "CongestionPoint": "ean.871685900012636543",
                "BaselineReference": "3",
                "Price": "7",
                "Penalty": "11",
                "NetSettlement": "-4",
                "ISP": [
                    {
                        "Start": 2,
                        "Duration": 1,
                        "BaselinePower": 10_000,
                        "OrderedFlexPower": -2000,
                        "ActualPower": 9000,
                        "DeliveredFlexPower": -1000,
                        "PowerDeficiency": 1000,
                    }
                ],
            }
        ],
    }


def test_days_are_local_and_each_bus_and_day_is_an_order() -> None:
    late, early = datetime(2026, 1, 15, 22, 45, tzinfo=UTC), datetime(2026, 1, 15, 23, tzinfo=UTC)
    message = mapped(line(late, bus="far"), line(early, bus="far"), line(late))

    orders = [(each.order_reference, each.period.day, each.isps[0].start) for each in message.flex_order_settlement]
    assert orders == [("auc-1:far", 15, 96), ("auc-1:far", 16, 1), ("auc-1:lot", 15, 96)]
    assert (message.period_start, message.period_end) == (date(2026, 1, 15), date(2026, 1, 16))


@pytest.mark.parametrize(("month", "day", "isps"), [(1, 15, 96), (3, 29, 92), (10, 25, 100)])
def test_days_on_which_clocks_change_have_92_and_100_periods(month: int, day: int, isps: int) -> None:
    midnight = datetime(2026, month, day, tzinfo=COPENHAGEN) + timedelta(days=1)
    (order,) = mapped(line(midnight.astimezone(UTC) - QUARTER)).flex_order_settlement

    assert order.isps[0].start == isps


def test_an_hour_is_four_periods() -> None:
    (order,) = mapped(line(datetime(2026, 1, 15, 8, tzinfo=UTC)), resolution=timedelta(hours=1)).flex_order_settlement

    assert (order.isps[0].start, order.isps[0].duration) == (37, 4)


def test_uplift_and_adjustments_are_part_of_the_price() -> None:
    at = datetime(2026, 1, 15, 8, tzinfo=UTC)
    (order,) = mapped(line(at, uplift="0.5", adjustment="-0.1")).flex_order_settlement

    assert (order.price, order.penalty, order.net_settlement) == (Decimal("7.4"), Decimal(11), Decimal("-3.6"))


def test_periods_that_are_not_whole_isps_are_refused() -> None:
    with pytest.raises(ValueError, match="not whole ISPs"):
        mapped(line(datetime(2026, 1, 15, 8, tzinfo=UTC)), resolution=timedelta(minutes=10))
