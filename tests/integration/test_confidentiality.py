"""What leaves a fleet names no driver, session or plug; what a market logs and answers names no offer and no secret."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from prometheus_client import generate_latest
from pydantic import TypeAdapter
from sqlalchemy import Engine

from aggregator_agents.agent import EvAggregator
from api_spec.auction import AuctionTerms
from api_spec.client import MarketClient
from api_spec.flexibility import AnyRequestTerms
from api_spec.organisation import Credentials, OrganisationTerms
from api_spec.period import MarketPeriod
from api_spec.product import Product
from market import metrics
from market.api.app import create_app
from market.api.serving import serving
from market.clock import SimulatedClock
from market.ids import SeededIds
from market.settings import Settings
from market.store import migrate, open_engine
from market.workflow.hashing import CHEAP
from market.workflow.identity import bootstrap_operator
from tests.belongings import HOUR, contract, resource, tariff
from tests.running_market import running_market
from tests.small_cases import Document
from tests.two_markets import DAY, LIMIT, NOON, auction_terms, street
from tests.unit.dso_agents.street import street as long_street
from tests.waiting import until

GATE: Final = NOON + timedelta(hours=2)
EVENING: Final = MarketPeriod(start=datetime(2026, 1, 14, 16, tzinfo=UTC), resolution=timedelta(minutes=15), count=16)
FLEET: Final[dict[str, Any]] = {
    "network": "street",
    "sites": [
        {
            "buses": ["far"],
            "chargers": 3,
            "plugs_per_charger": 2,
            "fuse_a": 63,
            "sessions": {"arrives_h": 16, "departs_h": 22, "energy_kwh": 8, "late_minutes": 10, "timezone": "UTC"},
        }
    ],
}


class Recorder(httpx.AsyncHTTPTransport):
    """Sends, and keeps all that is sent: request lines, headers and bodies."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, bytes]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = b"\n".join(b": ".join(each) for each in request.headers.raw)
        whole = b"\n".join((str(request.url).encode(), headers, await request.aread()))
        self.sent.append((f"{request.method} {request.url.path.rsplit('/', 1)[-1]}", whole))
        return await super().handle_async_request(request)


async def test_nothing_that_an_agent_sends_in_a_day_names_a_plug_a_session_or_a_charger(tmp_path: Path) -> None:
    """Six plugs on one evening, from nomination to the last reading."""
    recorder = Recorder()
    with running_market(tmp_path, now=NOON, settings=Settings(token_ttl=DAY)) as market:
        operator = MarketClient(market.url, market.operator)
        grid = await operator.register_organisation(OrganisationTerms(name="Grid", role="dso"))
        own = await operator.register_organisation(OrganisationTerms(name="Fleet", role="aggregator"))
        client = MarketClient(market.url, own, transport=recorder)
        async with operator, client, MarketClient(market.url, grid) as dso:
            agent = EvAggregator.build(client, FLEET)
            await _evening(market.clock, operator, dso, agent)

    names = {each.plug for each in agent.plug_log()} | {each.session for each in agent.driver_report()}
    chargers = {each.rsplit("-", 1)[0] for each in names}
    assert {"far-1-1", "far-3-2", "far-2-1 2026-01-14"} <= names and "far-3" in chargers
    assert {what for what, _ in recorder.sent} >= {"PUT baseline", "POST offers", "POST readings", "GET awards"}
    for what, whole in recorder.sent:
        assert not [each for each in names | chargers if each.encode() in whole], what


async def _evening(clock: SimulatedClock, operator: MarketClient, dso: MarketClient, agent: EvAggregator) -> None:
    await dso.register_network(long_street())
    product = Product(name="day", price_cap_eur_per_mwh=Decimal(900), penalty_eur_per_mwh=Decimal(100))
    terms = AuctionTerms(network="street", product=product, delivery=EVENING, gate_closure=GATE)
    auction = (await dso.open_auction(terms)).id
    await agent.cycle(NOON)
    active = [at < 4 for at in range(EVENING.count)]
    limit = {"kind": "capacity", "element": "cable", "import_limit_w": 20_000, "active": active}
    await dso.submit_request(auction, TypeAdapter[Any](AnyRequestTerms).validate_python(limit))
    clock.advance_to(GATE - timedelta(minutes=10))
    await agent.cycle(clock.now())
    clock.advance_to(GATE)
    assert (await operator.clear(auction)).state == "published"
    for minute in range(0, 16 * 15 + 1, 5):
        now = EVENING.start + timedelta(minutes=minute)
        clock.advance_to(now)
        if minute % 15 == 0:
            await agent.cycle(now)
        await agent.control(now)


# logs

POWER_W: Final = -7_717_313
PRICE: Final = "313.717171"
BASELINE_W: Final = 10_771_771
METER: Final = "541448860001234567"
RECEIVER: Final = "https://127.0.0.1:9/of-our-own-7f3ac1"
VALUES: Final = ("7717313", "313.717", "10771771", METER, "of-our-own")


class Office:
    """A market over HTTP whose output is captured: an aggregator `own`, a DSO `grid` and an `operator`."""

    def __init__(self, url: str, engine: Engine, clock: SimulatedClock, operator: Credentials) -> None:
        self.http, self.engine, self.clock = httpx.Client(base_url=url, timeout=30), engine, clock
        self._sent = count()
        self.secrets: list[str] = []
        self.ids: dict[str, str] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self._enter("operator", operator.client_id, operator.client_secret)
        for name, role in (("grid", "dso"), ("own", "aggregator")):
            made = self.send("operator", "POST", "/v1/organisations", {"name": name, "role": role}).json()
            self.ids[name] = made["organisation"]
            self._enter(name, made["client_id"], made["client_secret"])
        self.send("grid", "POST", "/v1/networks", street("north"))
        opened = self.send("grid", "POST", "/v1/auctions", auction_terms("north", begins=NOON + DAY))
        self.auction = f"/v1/auctions/{opened.json()['id']}"
        self.ids["auction"] = opened.json()["id"]

    def send(self, who: str, method: str, path: str, body: Document | None = None) -> httpx.Response:
        self.headers[who]["Idempotency-Key"] = f"{method} {path} {next(self._sent)}"
        return self.http.request(method, path, json=body, headers=self.headers[who])

    def offer(self, **change: Any) -> httpx.Response:
        steps = [{"power_w": [POWER_W, POWER_W], "price_eur_per_mwh": PRICE}]
        return self.send(
            "own", "POST", f"{self.auction}/offers", {"kind": "curve", "bus": "far", "steps": steps, **change}
        )

    def _enter(self, name: str, client: str, secret: str) -> None:
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
        token = self.http.post("/auth/token", data=form).json()["access_token"]
        self.secrets += [secret, token]
        self.headers[name] = {"Authorization": f"Bearer {token}"}


@pytest.fixture
def office(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Office]:
    caplog.set_level(logging.INFO, "sqlalchemy.engine")
    engine = open_engine(f"sqlite:///{tmp_path / 'market.db'}")
    migrate(engine)
    clock = SimulatedClock(NOON)
    operator = bootstrap_operator("operator", engine=engine, clock=clock, hashing=CHEAP)
    settings = Settings(token_ttl=timedelta(days=3), clearing_limit=None, webhooks_allow_private=True)
    app = create_app(settings, clock=clock, engine=engine, watch_gates=True, new_id=SeededIds(9), hashing=CHEAP)
    with serving(app) as url:
        opened = Office(url, engine, clock, operator)
        yield opened
        opened.http.close()
    engine.dispose()


def test_no_value_of_an_offer_no_secret_and_no_token_is_logged_or_answered_in_an_error(
    office: Office, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Offers are taken, refused, and met by failures of database and clearing that quote what they were given."""
    errors: list[httpx.Response] = []
    baseline = {"buses": [{"bus": "far", "power_w": [BASELINE_W, BASELINE_W]}]}
    errors.append(office.offer())
    assert office.send("own", "PUT", f"{office.auction}/baseline", baseline).status_code == 200
    assert office.send("grid", "POST", f"{office.auction}/requests", LIMIT).status_code == 201
    assert office.offer().status_code == 201
    over_cap = [{"power_w": [POWER_W, POWER_W], "price_eur_per_mwh": f"1{PRICE}"}]
    for change in ({"bus": "nowhere"}, {"steps": over_cap}, {"steps": PRICE}, {"kind": PRICE}):
        errors.append(office.offer(**change))
    headers = {**office.headers["own"], "Content-Type": "application/json"}
    errors.append(office.http.post(f"{office.auction}/offers", content=f'{{"steps": {PRICE} NaN', headers=headers))
    with office.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TRIGGER full BEFORE INSERT ON offer BEGIN SELECT RAISE(ABORT, 'no'); END")
    errors.append(office.offer())
    with office.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER full")
        connection.exec_driver_sql("ALTER TABLE offer RENAME TO elsewhere")
    errors.append(office.offer())
    with office.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO offer")
        connection.exec_driver_sql("UPDATE offer SET document = replace(document, '\"curve\"', '\"spoilt\"')")
    office.clock.advance_to(NOON + DAY / 2)
    errors.append(office.send("operator", "POST", f"{office.auction}/clear"))
    errors.append(office.offer())

    assert {each.status_code for each in errors} == {400, 409, 422, 500, 503}
    wrong = {"grant_type": "client_credentials", "client_id": "x", "client_secret": office.secrets[0]}
    errors.append(office.http.post("/auth/token", data=wrong))
    said = capsys.readouterr()
    logged = said.out + said.err + caplog.text
    assert "unexpected" in logged and "IntegrityError" in logged and "ValidationError" in logged
    for text in (logged, *(each.text for each in errors)):
        assert not [each for each in (*VALUES, *office.secrets) if each in text], text[:2000]


def test_no_value_of_what_is_registered_metered_and_agreed_is_logged_measured_or_answered_in_an_error(
    office: Office, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Resources, meter readings, contracts, tariffs and webhooks are taken, refused, and met by failures."""
    there: dict[str, Document] = {
        "/v1/resources": {**resource("north", "a"), "reducible_w": -POWER_W},
        "/v1/meters/readings": {
            "network": "north",
            "bus": "far",
            "start": (NOON - HOUR).isoformat(),
            "resolution": "PT1H",
            "power_w": [BASELINE_W],
        },
        "/v1/webhooks": {"url": RECEIVER},
    }
    agreed: dict[str, Document] = {
        "/v1/contracts": {**contract(office.ids["own"], "north"), "activation_price_eur_per_mwh": PRICE},
        "/v1/tariffs": tariff("north"),
    }
    agreed["/v1/contracts"]["power_w"] = POWER_W
    agreed["/v1/tariffs"]["components"][0]["price_eur_per_mwh"] = PRICE
    sent = [("own", *each) for each in there.items()] + [("grid", *each) for each in agreed.items()]
    made = {path: office.send(who, "POST", path, body) for who, path, body in sent}
    assert {each.status_code for each in made.values()} == {201}
    office.secrets.append(made["/v1/webhooks"].json()["secret"])
    office.ids |= {path: each.json()["id"] for path, each in made.items() if "id" in each.json()}
    # Something to be told of, to a receiver that does not answer.
    office.send("grid", "POST", "/v1/auctions", auction_terms("north", begins=NOON + 2 * DAY))
    deliveries = f"/v1/webhooks/{office.ids['/v1/webhooks']}/deliveries"
    until(
        lambda: bool(office.send("own", "GET", deliveries).json()[0]["attempts"]), within_s=20, what="a call was tried"
    )

    wrong: dict[str, Document] = {
        "/v1/resources": {"connection": METER},
        "/v1/meters/readings": {"bus": "nowhere", "power_w": [BASELINE_W, BASELINE_W]},
        "/v1/webhooks": {"url": f"ftp{RECEIVER}"},
        "/v1/contracts": {"bus": "nowhere"},
        "/v1/tariffs": {"valid_until": PRICE},
    }
    errors = [office.send(who, "POST", path, {**body, **wrong[path]}) for who, path, body in sent]
    assert {each.status_code for each in errors} == {422}
    tables = {"/v1/resources": "resource", "/v1/meters/readings": "meter_reading", "/v1/webhooks": "webhook"}
    tables |= {"/v1/contracts": "contract", "/v1/tariffs": "tariff"}
    with office.engine.begin() as connection:
        for each in tables.values():
            connection.exec_driver_sql(
                f"CREATE TRIGGER full_{each} BEFORE INSERT ON {each} BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
    errors += [office.send(who, "POST", path, {**body}) for who, path, body in sent]
    with office.engine.begin() as connection:
        for each in tables.values():
            connection.exec_driver_sql(f"ALTER TABLE {each} RENAME TO {each}_elsewhere")
    errors += [office.send(who, "POST", path, {**body}) for who, path, body in sent]
    errors += [office.send(who, "GET", path) for who, path, _ in sent if path in ("/v1/resources", "/v1/contracts")]
    assert {each.status_code for each in errors} >= {422, 500}

    said = capsys.readouterr()
    logged = said.out + said.err + caplog.text
    assert "unexpected" in logged and "IntegrityError" in logged and "OperationalError" in logged
    for text in (logged, *(each.text for each in errors)):
        assert not [each for each in (*VALUES, *office.secrets) if each in text], text[:2000]
    # Of a sample its name and labels: its number may have any digits.
    labels = "\n".join(line.rsplit(" ", 1)[0] for line in generate_latest(metrics.REGISTRY).decode().splitlines())
    assert '"/v1/resources"' in labels
    assert not [each for each in (*VALUES, *office.secrets, *office.ids.values()) if each in labels]
