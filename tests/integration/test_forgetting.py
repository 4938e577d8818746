"""Old events are forgotten with what was sent of them; what is still to be sent, and the newest, stay."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from sqlalchemy import Engine

from api_spec.client import MarketRefused
from api_spec.events import START
from api_spec.problem import ProblemType
from api_spec.webhooks import Delivery
from market.api.monitoring import metrics_served
from market.clock import SimulatedClock
from market.errors import NotFound
from market.metrics import REGISTRY
from market.notices.story import EVERYBODY, opened
from market.push.calling import Caller
from market.push.sender import Sender
from market.store import UnitOfWork, open_engine
from market.workflow.forgetting import forgetting_events
from tests.faults.test_outbox import listen, told
from tests.receiver import Receiver
from tests.running_market import running_market
from tests.street_auction import NOON, open_street

KEPT = timedelta(days=90)
BEGIN = datetime(2026, 1, 14, 12, tzinfo=UTC)


def tell(engine: Engine, auction: str, at: datetime) -> str:
    """Id of one event that everybody hears of."""
    (notice,) = opened(auction, now=at)
    with UnitOfWork(engine) as work:
        work.outbox.add([notice])
        work.commit()
    return notice.event.id


def forget(engine: Engine, at: datetime) -> None:
    """All that is old by then."""
    step = forgetting_events(after=KEPT, clock=SimulatedClock(at), engine=engine)
    while step.do():
        pass


def deliveries(engine: Engine) -> list[Delivery]:
    with UnitOfWork(engine) as work:
        (webhook,) = work.webhooks.of("a")
        return work.notices.page(webhook.id, after=None, limit=100)


async def send(engine: Engine, at: datetime) -> None:
    async with Caller(allow_private=True) as caller:
        await Sender(engine, SimulatedClock(at), caller).settle()


async def test_what_was_sent_is_forgotten_after_its_time_and_not_before(migrated: Engine) -> None:
    async with Receiver() as receiver:
        listen(migrated, receiver.url)
        tell(migrated, "auc_1", BEGIN)
        tell(migrated, "auc_2", BEGIN + timedelta(days=1))
        await send(migrated, BEGIN + timedelta(days=1))

        forget(migrated, BEGIN + KEPT)
        assert told(migrated) == ["auc_1", "auc_2"], "exactly as old as they are kept for"
        forget(migrated, BEGIN + KEPT + timedelta(seconds=1))
        assert told(migrated) == ["auc_2"]
        assert [each.state for each in deliveries(migrated)] == ["delivered"]


def test_what_is_still_to_be_sent_stays_however_old_it_is(migrated: Engine) -> None:
    listen(migrated, "http://127.0.0.1:9/nobody")
    for number in range(3):
        tell(migrated, f"auc_{number}", BEGIN + timedelta(days=number))

    forget(migrated, BEGIN + timedelta(days=400))

    assert told(migrated) == ["auc_0", "auc_1", "auc_2"]
    assert [each.state for each in deliveries(migrated)] == ["pending"] * 3


def test_the_newest_event_stays_so_that_no_place_is_given_twice(migrated: Engine) -> None:
    """SQLite gives the place of a deleted last row again: a stream that is past it would not hear of the next event."""
    for number in range(3):
        tell(migrated, f"auc_{number}", BEGIN)
    with UnitOfWork(migrated, reading=True) as work:
        end = work.outbox.end()

    forget(migrated, BEGIN + timedelta(days=400))
    tell(migrated, "auc_next", BEGIN + timedelta(days=401))

    with UnitOfWork(migrated, reading=True) as work:
        assert [each.event.auction for each in work.outbox.after(end, (EVERYBODY,))] == ["auc_next"]
        assert [each.event.auction for each in work.outbox.after(0, (EVERYBODY,))] == ["auc_2", "auc_next"]


def test_many_are_forgotten_lot_by_lot(migrated: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("market.workflow.forgetting.LOT", 4)
    first = tell(migrated, "auc_0", BEGIN)
    for number in range(1, 10):
        tell(migrated, f"auc_{number}", BEGIN)
    step = forgetting_events(after=KEPT, clock=SimulatedClock(BEGIN + timedelta(days=91)), engine=migrated)

    assert [step.do() for _ in range(3)] == [True, True, False]
    assert told(migrated) == ["auc_9"]
    with UnitOfWork(migrated, reading=True) as work, pytest.raises(NotFound):
        work.outbox.place(first, (EVERYBODY,))


async def test_a_stream_that_asks_for_a_forgotten_event_is_told_so_and_may_begin_at_the_start(tmp_path: Path) -> None:
    with running_market(tmp_path, now=NOON) as market:
        async with open_street(market) as street:
            opening = await anext(street.dso.events(after=START))
            await street.ask()
            engine = open_engine(f"sqlite:///{tmp_path / 'market.db'}")
            forget(engine, NOON + KEPT + timedelta(days=1))
            engine.dispose()

            with pytest.raises(MarketRefused) as refusal:
                await anext(street.dso.events(after=opening.id))
            assert refusal.value.problem.kind is ProblemType.NOT_FOUND
            assert (await anext(street.dso.events(after=START))).type == "request.submitted"


async def test_the_backlog_of_webhooks_is_read_at_each_scrape(migrated: Engine) -> None:
    def backlog() -> float:
        return float(f"{REGISTRY.get_sample_value('flexmarket_webhook_backlog')}")

    async with Receiver() as receiver:
        listen(migrated, receiver.url)
        with metrics_served(migrated, SimulatedClock(BEGIN), host="127.0.0.1", port=0):
            tell(migrated, "auc_1", BEGIN)
            tell(migrated, "auc_2", BEGIN + timedelta(minutes=1))
            assert generate_latest(REGISTRY)
            assert backlog() == 1, "the second is not due yet"
            await send(migrated, BEGIN)
            assert backlog() == 0
    assert [each.state for each in deliveries(migrated)] == ["delivered", "pending"]
