"""What an operator sees of a running market, log, metrics and readiness, and what nobody sees there."""

import asyncio
import io
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine

from api_spec.problem import Problem
from market.api.app import create_app
from market.api.monitoring import metrics_served
from market.api.serving import serving
from market.clock import SimulatedClock
from market.logs import configure
from market.metrics import REGISTRY
from market.settings import Settings
from market.store import migrate, open_engine
from market.workflow.hashing import CHEAP
from market.workflow.identity import bootstrap_operator
from tests.running_market import RunningMarket
from tests.street_auction import GATE, NOON, open_street

SETTINGS = Settings(token_ttl=timedelta(days=2), clearing_limit=None)


@dataclass(frozen=True)
class Seen:
    """A market and what is seen of it."""

    market: RunningMarket
    app: FastAPI
    engine: Engine
    log: io.StringIO
    metrics: str

    def lines(self, event: str) -> list[dict[str, object]]:
        """Once every request that has been answered has been told of."""
        deadline = time.monotonic() + 5
        while REGISTRY.get_sample_value("flexmarket_requests_in_progress") and time.monotonic() < deadline:
            time.sleep(0.01)
        return [line for line in map(json.loads, self.log.getvalue().splitlines()) if line["event"] == event]

    def scrape(self) -> dict[str, Metric]:
        self.lines("request")
        return {each.name: each for each in text_string_to_metric_families(httpx.get(self.metrics).text)}

    def sample(self, name: str, **labels: str) -> float:
        """0 where nothing was counted yet."""
        return sum(
            sample.value
            for family in self.scrape().values()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Seen]:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    configure("json", "debug", stream=stream)
    engine, clock = open_engine(f"sqlite:///{tmp_path / 'market.db'}"), SimulatedClock(NOON)
    migrate(engine)
    operator = bootstrap_operator("operator", engine=engine, clock=clock, hashing=CHEAP)
    app = create_app(SETTINGS, clock=clock, engine=engine, watch_gates=False, hashing=CHEAP)
    with serving(app) as url, metrics_served(engine, clock, host="127.0.0.1", port=0) as metrics:
        yield Seen(RunningMarket(url, clock, operator), app, engine, stream, metrics)
    engine.dispose()
    root.handlers = handlers
    root.setLevel(level)


async def _auction_of_a_day(market: RunningMarket) -> list[str]:
    """From opening to settlement; gives every id and secret that it came upon."""
    async with open_street(market) as street:
        await street.ask()
        await street.offer(-8_765)
        await street.clear(market)
        await street.settle(market)
        clients = (street.operator, street.dso, *street.aggregators)
        bearers = [(await each._bearer())["Authorization"].removeprefix("Bearer ") for each in clients]
        secrets = [each._credentials.client_secret for each in clients if each._credentials]
        organisations = [(await each.me()).id for each in clients]
        offers = [each.offer.id for own in street.aggregators for each in await own.offers(street.auction)]
        return [street.auction, *offers, *organisations, *bearers, *secrets]


def test_every_request_is_one_line_that_names_its_route_and_who_called(seen: Seen) -> None:
    asyncio.run(_auction_of_a_day(seen.market))

    offers = [line for line in seen.lines("request") if line["route"] == "/v1/auctions/{auction}/offers"]
    posted = [line for line in offers if line["method"] == "POST"]
    assert len(posted) == 2
    assert all(set(line) == {*FIELDS, "level", "event", "at"} for line in posted)
    assert {line["status"] for line in posted} == {201}
    assert len({line["organisation"] for line in posted}) == len({line["request_id"] for line in posted}) == 2


FIELDS = {"method", "route", "status", "duration_ms", "organisation", "request_id"}


def test_an_auction_leaves_one_line_for_each_of_its_steps(seen: Seen) -> None:
    auction, *_ = asyncio.run(_auction_of_a_day(seen.market))

    steps = ("gate closed", "clearing started", "clearing published", "settled")
    lines = [seen.lines(step) for step in steps]
    assert [[line["auction"] for line in each] for each in lines] == [[auction]] * 4
    (published,) = seen.lines("clearing published")
    assert (published["status"], published["level"]) == ("cleared", "info")
    assert isinstance(published["iterations"], int) and published["iterations"] >= 1
    assert isinstance(published["seconds"], float) and published["seconds"] > 0
    assert [seen.lines("gate closed")[0]["late_s"], *seen.lines("clearing failed")] == [0.0]


def test_neither_the_log_nor_the_metrics_say_what_was_offered_or_hold_a_secret(seen: Seen) -> None:
    auction, first, second, *others = asyncio.run(_auction_of_a_day(seen.market))
    organisations, secrets = others[:4], others[4:]
    log, metrics = seen.log.getvalue(), httpx.get(seen.metrics).text

    for value in ("8765", "120", "787", "Parking lot", first, second, *secrets):
        assert value not in {str(each) for line in map(json.loads, log.splitlines()) for each in line.values()}
        if len(value) > 4:
            assert value not in log
    for value in ("Parking lot", auction, first, second, *organisations, *secrets):
        assert value not in metrics
    samples = [sample for family in seen.scrape().values() for sample in family.samples]
    assert 8765 not in {abs(sample.value) for sample in samples}
    assert "8765" not in {value for sample in samples for value in sample.labels.values()}
    assert not {"organisation", "auction", "offer", "bus"} & {label for sample in samples for label in sample.labels}


def test_metrics_count_what_an_auction_did(seen: Seen) -> None:
    """Other tests of this process have counted too: what is compared is before and after."""
    names: tuple[tuple[str, dict[str, str]], ...] = (
        ("flexmarket_orders_total", {"kind": "offer", "outcome": "accepted"}),
        ("flexmarket_offers_cleared_total", {"outcome": "partly_needed"}),
        ("flexmarket_offers_cleared_total", {"outcome": "too_expensive"}),
        ("flexmarket_clearings_total", {"outcome": "cleared"}),
        ("flexmarket_clearing_seconds_count", {}),
        ("flexmarket_gate_lateness_seconds_count", {}),
        ("flexmarket_settlements_total", {}),
        ("flexmarket_requests_total", {"route": "/v1/auctions/{auction}/offers", "method": "POST", "status": "201"}),
        ("flexmarket_request_seconds_count", {"route": "/v1/auctions/{auction}/offers", "method": "POST"}),
    )
    before = [seen.sample(name, **labels) for name, labels in names]
    asyncio.run(_auction_of_a_day(seen.market))
    after = [seen.sample(name, **labels) for name, labels in names]

    assert [a - b for a, b in zip(after, before, strict=True)] == [2, 1, 1, 1, 1, 1, 1, 2, 2]
    assert seen.sample("flexmarket_auctions", state="settled") == 1
    assert seen.sample("flexmarket_auctions", state="open") == 0
    assert seen.sample("flexmarket_database_up") == 1
    assert seen.sample("flexmarket_requests_in_progress") == 0
    assert seen.sample("process_resident_memory_bytes") > 1e6


def test_a_gate_whose_time_has_come_is_due_and_grows_late(seen: Seen) -> None:
    async def opened() -> None:
        async with open_street(seen.market):
            pass

    asyncio.run(opened())
    seen.market.clock.advance_to(GATE - timedelta(seconds=1))
    assert (seen.sample("flexmarket_auctions_due"), seen.sample("flexmarket_auctions", state="open")) == (0, 1)
    seen.market.clock.advance_to(GATE + timedelta(seconds=90))
    assert seen.sample("flexmarket_auctions_due") == 1
    assert seen.sample("flexmarket_auctions_overdue_seconds") == 90


def test_refused_bodies_are_counted_by_reason(seen: Seen) -> None:
    kinds = ("malformed-json", "unsupported-media-type", "body-too-large")
    before = [seen.sample("flexmarket_bodies_refused_total", type=kind) for kind in kinds]
    token = _token(seen.market)
    for body, media in ((b"{", "application/json"), (b"{}", "text/plain"), (b" " * 4_000_001, "application/json")):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": media}
        httpx.post(f"{seen.market.url}/v1/organisations", content=body, headers=headers)
    after = [seen.sample("flexmarket_bodies_refused_total", type=kind) for kind in kinds]

    assert [a - b for a, b in zip(after, before, strict=True)] == [1, 1, 1]


def _token(market: RunningMarket) -> str:
    operator = market.operator
    form = {
        "grant_type": "client_credentials",
        "client_id": operator.client_id,
        "client_secret": operator.client_secret,
    }
    return str(httpx.post(f"{market.url}/auth/token", data=form).json()["access_token"])


def test_metrics_are_not_on_the_markets_own_address(seen: Seen) -> None:
    assert httpx.get(f"{seen.market.url}/metrics").status_code == 404


def test_a_request_has_one_id_in_header_problem_and_log(seen: Seen) -> None:
    mine = httpx.get(f"{seen.market.url}/v1/auctions/auc_x", headers={"X-Request-ID": "trip-7"})
    given = httpx.get(f"{seen.market.url}/v1/auctions/auc_x", headers={"X-Request-ID": "not usable"})

    for answer in (mine, given):
        found = answer.headers["X-Request-ID"]
        assert Problem.model_validate_json(answer.content).instance == f"urn:flexmarket:request:{found}"
        (line,) = [line for line in seen.lines("request") if line["request_id"] == found]
        assert (line["status"], line["problem"], line["organisation"]) == (401, "unauthenticated", None)
    assert mine.headers["X-Request-ID"] == "trip-7" != given.headers["X-Request-ID"]


def test_what_no_route_answers_is_one_route_whatever_its_path(seen: Seen) -> None:
    for path in ("/v1/org_secret", "/wp-login.php?user=org_secret"):
        assert httpx.get(f"{seen.market.url}{path}").status_code == 404

    assert {line["route"] for line in seen.lines("request")} == {"none"}
    assert "org_secret" not in seen.log.getvalue()


def test_a_fault_of_ours_is_a_problem_for_the_caller_and_a_traceback_for_us(seen: Seen) -> None:
    @seen.app.get("/fault", include_in_schema=False)
    def fault() -> None:
        raise ValueError(f"{4 * 30}.55 EUR/MWh of org_secret")

    answer = httpx.get(f"{seen.market.url}/fault", headers={"X-Request-ID": "trip-9"})

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert Problem.model_validate_json(answer.content).instance == "urn:flexmarket:request:trip-9"
    assert "EUR" not in answer.text
    (told,) = seen.lines("unexpected")
    assert (told["request_id"], told["route"], told["error"]) == ("trip-9", "/fault", "ValueError")
    assert "in fault" in str(told["traceback"])
    assert "120.55" not in seen.log.getvalue()
    (line,) = [line for line in seen.lines("request") if line["request_id"] == "trip-9"]
    assert (line["status"], line["problem"]) == (500, "internal")


def test_health_asks_nothing_and_readiness_names_its_checks(seen: Seen) -> None:
    assert httpx.get(f"{seen.market.url}/health").json() == {"status": "ok"}
    ready = httpx.get(f"{seen.market.url}/ready")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ready", "checks": {"database": "ok", "disk": "ok", "writer": "ok"}},
    )
    assert {line["level"] for line in seen.lines("request")} == {"debug"}, "probes do not fill the log"


def test_not_ready_is_a_problem_that_names_what_fails(seen: Seen) -> None:
    with seen.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'of-another-program'")
    seen.app.state.readiness.add("writer", lambda: "is not running")
    seen.app.state.readiness.add("broken", lambda: f"{1 / 0}")

    answer = httpx.get(f"{seen.market.url}/ready")
    problem = Problem.model_validate_json(answer.content)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert problem.type == "urn:flexmarket:problem:unavailable"
    assert "database: its schema is at of-another-program" in problem.detail
    assert "writer: is not running" in problem.detail
    assert "broken: the check itself failed" in problem.detail
    assert "disk" not in problem.detail
    assert httpx.get(f"{seen.market.url}/health").status_code == 200


def test_readiness_answers_within_its_time_when_a_check_hangs_however_often_it_is_asked(seen: Seen) -> None:
    seen.app.state.readiness.add("database", lambda: time.sleep(20))
    started = time.monotonic()

    async def many() -> list[int]:
        async with httpx.AsyncClient(base_url=seen.market.url) as http:
            answers = await asyncio.gather(*(http.get("/ready", timeout=15) for _ in range(12)))
        assert all("database: no answer within 2 s" in each.json()["detail"] for each in answers)
        return [each.status_code for each in answers]

    assert asyncio.run(many()) == [503] * 12
    assert time.monotonic() - started < 6
    assert httpx.get(f"{seen.market.url}/", timeout=2).status_code == 200, "the routes' threads are free"


def test_a_reader_waits_for_no_writer(seen: Seen) -> None:
    """A transaction holds the write lock of the database all the while: who waited for it would not be answered."""
    with seen.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE organisation SET name = 'changed'")
        assert httpx.get(f"{seen.market.url}/ready").status_code == 200
        assert seen.sample("flexmarket_database_up") == 1


def test_a_scrape_without_a_database_says_that(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with metrics_served(engine, SimulatedClock(NOON), host="127.0.0.1", port=0) as address:
        families = {each.name: each for each in text_string_to_metric_families(httpx.get(address).text)}
    engine.dispose()

    assert families["flexmarket_database_up"].samples[0].value == 0
    assert "flexmarket_auctions" not in families
