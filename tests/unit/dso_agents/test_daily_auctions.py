"""Auctions that come again every day: which should be open when."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from api_spec.period import MarketPeriod
from api_spec.product import Product
from dso_agents.agent import AuctionPlan, Daily

ZONE = ZoneInfo("Europe/Copenhagen")


def at(day: int, hour: int, *, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=ZONE)


def plan(daily: Daily | None) -> AuctionPlan:
    """Whole days from 28 March 2026, gate at 12:00 on the day before; on 29 March the clock goes forward."""
    return AuctionPlan(
        product=Product(name="day", price_cap_eur_per_mwh=900, penalty_eur_per_mwh=100),
        delivery=MarketPeriod(start=at(28, 0), resolution=timedelta(minutes=15), count=96),
        gate_closure=at(27, 12),
        daily=daily,
    )


def starts(plan: AuctionPlan, now: datetime) -> list[str]:
    return [f"{delivery.start.astimezone(ZONE):%d %b} {delivery.count}" for delivery, _ in plan.due(now)]


def test_an_auction_that_does_not_come_again_is_due_until_its_gate() -> None:
    assert starts(plan(None), at(20, 0)) == ["28 Mar 96"]
    assert starts(plan(None), at(27, 12)) == []


def test_the_next_auction_is_due_when_the_gate_before_it_has_closed() -> None:
    daily = plan(Daily(timezone="Europe/Copenhagen", days=3))
    assert starts(daily, at(20, 0)) == ["28 Mar 96"], "the first one at once"
    assert starts(daily, at(27, 12)) == ["29 Mar 92"]
    assert starts(daily, at(28, 12)) == ["30 Mar 96"]
    assert starts(daily, at(29, 12)) == [], "three days are over"


def test_auctions_may_be_opened_earlier() -> None:
    daily = plan(Daily(timezone="Europe/Copenhagen", opens_before_gate=timedelta(days=3)))
    assert starts(daily, at(27, 11)) == ["28 Mar 96", "29 Mar 92", "30 Mar 96"]


def test_without_end_it_goes_on() -> None:
    daily = plan(Daily(timezone="Europe/Copenhagen"))
    assert starts(daily, at(27, 11, month=10)) == ["28 Oct 96"]
    assert starts(daily, at(24, 11, month=10)) == ["25 Oct 100"], "the clock goes back"
