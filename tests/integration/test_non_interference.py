"""What one aggregator can read does not depend on what another one offers, until the result is published.

The same script is played in two markets with the same seed and clock. Both aggregators took part in an auction that is
settled. Of three others one is cleared at its gate, one fails there, since no offer meets what is asked, and one is
traded continuously and has had a match. In one of the markets the rival nominates, offers, replaces, withdraws,
registers resources, applies with them, reports readings, disputes, accepts a contract, listens, and is refused all the
while. Everything that the first aggregator can read, by every GET of the application and in the answers to its own
orders, is compared byte by byte, with every header but the date; and all events that it can hear until publication.

A new route is read without being asked. A new kind of id in a path gets its values in `played`; what a route has to be
asked beside its path stands in QUERIES; a route whose answers never end is left out by name, with the reason. What is
random is compared by its place: the ids of events and deliveries, and the hashes and signatures of the audit log.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import unquote_to_bytes

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import Engine

from api_spec.case import Case
from api_spec.organisation import Credentials, OrganisationTerms, Role
from api_spec.product import Product
from api_spec.result import Result
from market import clearing
from market.api.app import create_app
from market.api.serving import serving
from market.api.tokens import Tokens
from market.clearing import Options
from market.clock import SimulatedClock
from market.ids import SeededIds
from market.store import UnitOfWork, migrate, open_engine
from market.workflow.auditing import build_log
from market.workflow.clearing import clear_auction
from market.workflow.hashing import CHEAP
from market.workflow.identity import register_organisation
from market.workflow.webhooks import MOST_WEBHOOKS
from tests.belongings import HOUR, contract, product, resource, tariff
from tests.small_cases import Document
from tests.two_markets import DAY, DAY_AHEAD, LIMIT, NOON, OFFER, SETTINGS, auction_terms, street

Said: TypeAlias = tuple[str, int, tuple[tuple[str, bytes], ...], bytes]
"""What was asked, and all of the answer but its date."""
Told: TypeAlias = tuple[list[Said], list[Said]]
Played: TypeAlias = tuple[list[Said], list[Said], list[bytes], list[str]]
"""The same, all events until publication, and why an auction failed."""
LEFT_OUT: Final = {
    "/v1/events": "never ends: its events are compared by themselves",
    "/auctions/{auction}/events": "never ends: its events are compared by themselves",
    "/.well-known/jwks.json": "the keys of the two markets are random",
    "/runs/{name}/files/{file:path}": "files of simulations, which no order changes",
    "/{path:path}": "nothing is there",
}
QUERIES: Final = {
    "/v1/meters/readings": ("network=north",),
    "/v1/tariffs/{tariff}/prices": ("start=2026-01-14T00:00:00Z&resolution=PT1H&count=48&bus=far",),
    "/v1/audit/inclusion": (
        "kind=offer&auction={auction}&offer={offer}",
        "kind=award&auction={auction}&offer={offer}",
        "kind=statement&auction={auction}",
    ),
    "/v1/audit/consistency": ("first=1&second=2", "first=1&second=1000"),
}
GATE: Final = NOON + DAY / 2
EARLIER: Final = NOON - 2 * DAY
"""When the delivery began of the auction that is settled."""
INTRADAY: Final = Product(
    name="intraday",
    trading="continuous",
    pricing="pay_as_bid",
    price_cap_eur_per_mwh=Decimal(900),
    penalty_eur_per_mwh=Decimal(100),
)
IMPOSSIBLE: Final = {"kind": "capacity", "element": "cable", "import_limit_w": 1}
"""At any price, behind 500 kW."""
DISPUTE: Final = {
    "version": 1,
    "lines": [{"bus": "far", "start": EARLIER.isoformat()}],
    "reason": "the meter was broken",
}
_CURSOR: Final = re.compile(rb"(?<=cursor=)[A-Za-z0-9_%=-]+")
_EVENT: Final = re.compile(rb"(?:evt|dlv)_[0-9a-f]+")
_HASH: Final = re.compile(rb'(?<=")(?:[0-9a-f]{64}|[0-9a-f]{128})(?=")|(?<="salt":")[0-9a-f]+(?=")')


class Place:
    """A market and its parties; what the first aggregator is told is kept."""

    def __init__(self, url: str, engine: Engine, clock: SimulatedClock, gets: list[str]) -> None:
        self.engine, self.clock, self.gets = engine, clock, gets
        self.told: list[Said] = []
        self.reasons: list[str] = []
        self._events: dict[bytes, bytes] = {}
        self._http = httpx.Client(base_url=url, timeout=30)
        self._tokens: dict[str, str] = {}
        self.organisations: dict[str, str] = {}
        new_id = SeededIds(7)
        roles: dict[str, Role] = {"operator": "operator", "grid": "dso", "first": "aggregator", "rival": "aggregator"}
        for name, role in roles.items():
            with UnitOfWork(engine) as work:
                terms = OrganisationTerms(name=name, role=role)
                made = register_organisation(terms, clock=clock, work=work, new_id=new_id)
                work.commit()
            self.organisations[name], self._tokens[name] = made.organisation, self._token(made)
        self.do("grid", "POST", "/v1/networks", street("north"))
        self.do("grid", "POST", "/v1/products", product("plain_north").model_dump(mode="json"))
        self.tariff = self.do("grid", "POST", "/v1/tariffs", tariff("north")).json()["id"]
        self.earlier = self._settled_before()
        self.owned = {"first": self._belongings("first"), "rival": self._belongings("rival")}
        for _ in range(2):  # two heads that everybody may see
            build_log(now=NOON, engine=engine, most=150)
        self.auction = self._opened()
        self.failing = self._opened(DAY_AHEAD.model_copy(update={"name": "in vain"}))
        self.continuous = self._matched_once()

    def _opened(self, product: Product = DAY_AHEAD) -> str:
        terms = auction_terms("north", begins=NOON + DAY, product=product)
        return str(self.do("grid", "POST", "/v1/auctions", terms).json()["id"])

    def _matched_once(self) -> str:
        """A continuous auction in which the first aggregator has sold 4 of 9 kW: 24 kW are drawn behind 20 kW."""
        auction = self._opened(INTRADAY)
        path = f"/v1/auctions/{auction}"
        self.do("first", "PUT", f"{path}/baseline", {"buses": [{"bus": "far", "power_w": [24_000, 24_000]}]})
        self.do("first", "POST", f"{path}/offers", OFFER)
        self.do("grid", "POST", f"{path}/requests", LIMIT)
        assert self.do("operator", "POST", f"{path}/match").status_code == 200
        (award,) = self.do("first", "GET", f"{path}/awards").json()
        assert award["power_w"] == [-4_000, -4_000]
        return auction

    def _settled_before(self) -> str:
        """An auction in which both aggregators had an award each, of which not all was delivered."""
        auction = str(self.do("grid", "POST", "/v1/auctions", auction_terms("north", begins=EARLIER)).json()["id"])
        path = f"/v1/auctions/{auction}"
        for name in ("first", "rival"):
            buses = [{"bus": "far", "power_w": [14_000, 14_000]}]
            self.do(name, "PUT", f"{path}/baseline", {"buses": buses})
            self.do(
                name, "POST", f"{path}/offers", {**OFFER, "steps": [{**OFFER["steps"][0], "power_w": [-4_000] * 2}]}
            )
        self.do("grid", "POST", f"{path}/requests", LIMIT)
        self.clock.advance_to(EARLIER - DAY / 2)
        assert self.do("operator", "POST", f"{path}/clear").json()["state"] == "published"
        self.clock.advance_to(NOON)
        for name in ("first", "rival"):
            buses = [{"bus": "far", "power_w": [11_000, 11_000]}]
            self.do(name, "POST", f"{path}/readings", {"start": EARLIER.isoformat(), "buses": buses})
        assert self.do("operator", "POST", f"{path}/settle").json()["state"] == "settled"
        return auction

    def _belongings(self, name: str) -> dict[str, str]:
        """A contract that is proposed, and what an aggregator registers, disputes and is told of from the beginning."""
        terms = {**contract(self.organisations[name], "north"), "valid_until": NOON.isoformat()}
        made = {
            "contract": self.do("grid", "POST", "/v1/contracts", terms),
            "resource": self.do(name, "POST", "/v1/resources", resource("north", "a")),
            "dispute": self.do(name, "POST", f"/v1/auctions/{self.earlier}/disputes", DISPUTE),
            "webhook": self.do(name, "POST", "/v1/webhooks", {"url": f"https://{name}.example/events"}),
            "bill": self.do("grid", "POST", f"/v1/tariffs/{self.tariff}/bills", self._used(name)),
        }
        assert {each.status_code for each in made.values()} == {201}
        offers = self.do(name, "GET", f"/v1/auctions/{self.earlier}/offers").json()
        return {**{kind: each.json()["id"] for kind, each in made.items()}, "offer": offers[0]["offer"]["id"]}

    def _used(self, name: str) -> Document:
        """What is billed."""
        span = {"start": EARLIER.isoformat(), "end": (EARLIER + 2 * HOUR).isoformat()}
        return {"participant": self.organisations[name], "bus": "far", "contracted_power_w": 9_000, **span}

    def close(self) -> None:
        self._http.close()

    def do(self, who: str, method: str, path: str, body: Document | None = None, *, match: str = "") -> httpx.Response:
        """An order of somebody; the same key in both markets. match : the version that is meant (If-Match)."""
        key = hashlib.sha256(f"{who} {method} {path} {body}".encode()).hexdigest()
        sent = {"Authorization": self._tokens[who], "Idempotency-Key": key, "X-Request-ID": "asked"}
        if match:
            sent["If-Match"] = match
        return self._http.request(method, path, json=body, headers=sent)

    def own(self, method: str, path: str, body: Document | None = None, *, match: str = "") -> httpx.Response:
        """The same of the first aggregator; the answer counts as something that it was told."""
        answer = self.do("first", method, path, body, match=match)
        self._keep(f"{method} {path}", answer)
        return answer

    def read_everything(self, ids: dict[str, list[str]]) -> None:
        """By every GET, for every one of some ids, whole and page by page."""
        for path in self.gets:
            for query in QUERIES.get(path, ("",)):
                asked = f"{path}?{query}" if query else path
                for values in _choices(ids, re.findall(r"\{(\w+)\}", asked)):
                    self._read(asked.format(**values))

    def heard(self, path: str) -> list[bytes]:
        """The lines of a stream of events up to the one that says that the auction is published."""
        lines: list[bytes] = []
        headers = {"Authorization": self._tokens["first"], "Last-Event-ID": "start"}
        with self._http.stream("GET", path, headers=headers) as answer:
            for line in answer.iter_lines():
                lines.append(self._plain(line.encode()))
                if line.startswith("data:") and "auction.published" in line and self.auction in line:
                    break
        return lines

    def _read(self, path: str) -> None:
        answer = self.do("first", "GET", path)
        self._keep(f"GET {path}", answer)
        is_list = answer.content.startswith(b"[")
        url = f"{path}{'&' if '?' in path else '?'}limit=1" if is_list else None
        while url:
            answer = self.do("first", "GET", url)
            self._keep(f"GET {url}", answer)
            url = answer.links.get("next", {}).get("url")

    def _keep(self, asked: str, answer: httpx.Response) -> None:
        headers = [
            (name, self._plain(value.encode())) for name, value in answer.headers.multi_items() if name != "date"
        ]
        asked = self._plain(asked.encode()).decode()
        self.told.append((asked, answer.status_code, tuple(headers), self._plain(answer.content)))

    def _plain(self, said: bytes) -> bytes:
        """What was said, with everything random in it named by the order in which it was first heard of."""
        names = self._events
        said = _CURSOR.sub(lambda found: base64.urlsafe_b64decode(unquote_to_bytes(found[0])), said)
        said = _EVENT.sub(lambda found: names.setdefault(found[0], b"event %d" % len(names)), said)
        return _HASH.sub(b"hash", said)

    def _token(self, made: Credentials) -> str:
        with UnitOfWork(self.engine) as work:
            login = work.identities.login(made.client_id)
        assert login is not None
        issuer = Tokens(self.engine, self.clock, ttl=SETTINGS.token_ttl, issuer="http://market")
        return f"Bearer {issuer.issue(login, login.scopes).access_token}"


def _choices(ids: dict[str, list[str]], parameters: list[str]) -> Iterator[dict[str, str]]:
    if not parameters:
        yield {}
        return
    assert parameters[0] in ids, f"say in `played` which ids {{{parameters[0]}}} may be"
    for value in ids[parameters[0]]:
        for rest in _choices(ids, parameters[1:]):
            yield {parameters[0]: value, **rest}


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    folder.mkdir()
    engine = open_engine(f"sqlite:///{folder / 'market.db'}")
    migrate(engine)
    clock = SimulatedClock(EARLIER - DAY)
    settings = SETTINGS.model_copy(update={"public_url": "http://market"})
    app = create_app(
        settings, clock=clock, engine=engine, watch_gates=False, send_webhooks=False, new_id=SeededIds(8), hashing=CHEAP
    )
    gets = [
        each.path
        for each in iter_route_contexts(app.routes)
        if each.path and "GET" in (each.methods or ()) and each.path not in LEFT_OUT
    ]
    with serving(app) as url:
        market = Place(url, engine, clock, gets)
        try:
            yield market
        finally:
            market.close()
            engine.dispose()


def offer(number: int) -> Document:
    """Of 8 kW and more, at prices that no two offers share."""
    return {**OFFER, "steps": [{"power_w": [-8_000 - number, -8_000 - number], "price_eur_per_mwh": 100 + number}]}


def rival(market: Place) -> Callable[[], None]:
    """Offers ever more, replaces, withdraws, and is refused; and does whatever else an aggregator can do."""
    auction, counted = f"/v1/auctions/{market.auction}", iter(range(1_000))
    failing, continuous = f"/v1/auctions/{market.failing}", f"/v1/auctions/{market.continuous}"
    standing: list[str] = []

    def do(status: int, method: str, path: str, body: Document | None = None, *, match: str = "") -> Any:
        answer = market.do("rival", method, path, body, match=match)
        assert answer.status_code == status, (method, path, answer.text)
        return answer.json() if answer.content else None

    def act() -> None:
        number = next(counted)
        do(200, "PUT", f"{auction}/baseline", {"buses": [{"bus": "far", "power_w": [9_000 + number, 9_000]}]})
        for each in range(3):
            receipt = do(201, "POST", f"{auction}/offers", offer(10 * number + each))
            standing.append(receipt["offer"]["id"])
        path = f"{auction}/offers/{standing[-1]}"
        do(200, "PUT", path, offer(500 + number), match='"1"')
        do(204, "DELETE", path, match='"2"')
        do(422, "POST", f"{auction}/offers", {**OFFER, "bus": "nowhere"})
        do(200, "PUT", f"{failing}/baseline", {"buses": [{"bus": "far", "power_w": [9_000 + number, 9_000]}]})
        do(201, "POST", f"{failing}/offers", offer(number))
        # Nobody needs more consumption, so none of it is matched: it stands in the book, and nobody else may know.
        do(200, "PUT", f"{continuous}/baseline", {"buses": [{"bus": "far", "power_w": [0, 0]}]})
        more = {**OFFER, "steps": [{"power_w": [1_000 + number, 1_000], "price_eur_per_mwh": 100 + number}]}
        receipt = do(201, "POST", f"{continuous}/offers", more)
        do(201, "POST", f"{continuous}/offers", more)
        do(204, "DELETE", f"{continuous}/offers/{receipt['offer']['id']}", match='"1"')
        found = do(201, "POST", "/v1/resources", {**resource("north", "b"), "connection": f"rival-{number:010}"})
        do(201, "POST", f"/v1/resources/{found['id']}/prequalifications", {"product": "plain_north"})
        hour = {"network": "north", "bus": "far", "resolution": "PT1H", "power_w": [number]}
        do(201, "POST", "/v1/meters/readings", {**hour, "start": (NOON - 3 * HOUR).isoformat()})
        earlier = f"/v1/auctions/{market.earlier}"
        do(201, "POST", f"{earlier}/disputes", {**DISPUTE, "reason": f"the meter was broken, {number}"})
        buses = [{"bus": "far", "power_w": [12_000 + number, 12_000]}]
        do(201, "POST", f"{earlier}/readings", {"start": EARLIER.isoformat(), "buses": buses})
        do(201, "POST", f"/v1/contracts/{market.owned['rival']['contract']}/acceptance", {"version": 1})
        if number < MOST_WEBHOOKS - 1:
            do(201, "POST", "/v1/webhooks", {"url": f"https://rival.example/{number}"})

    return act


def played(market: Place, meanwhile: Callable[[], None], rival_offers: list[str]) -> Told:
    """What the first aggregator is told until publication, and then. rival_offers : ids that it tries."""
    auction, tariff_of_north = f"/v1/auctions/{market.auction}", market.tariff
    own, theirs = market.owned["first"], market.owned["rival"]
    mine: list[str] = []

    def look(*others: str) -> None:
        """Read everything, of `others` beside the auction that is cleared, too; each costs some hundred requests."""
        build_log(now=market.clock.now(), engine=market.engine)
        assert market.do("operator", "POST", f"/v1/auctions/{market.continuous}/match").status_code == 200
        kinds = ("contract", "resource", "dispute", "webhook", "bill")
        both = {kind: [own[kind], theirs[kind], "none"] for kind in kinds}
        market.read_everything(
            {
                **both,
                "auction": [market.auction, *others, market.earlier, "auc_none"],
                "offer": [*mine, own["offer"], theirs["offer"], *rival_offers[:2], "off_none"],
                "organisation": list(market.organisations.values()),
                "network": ["north", "none"],
                "product": ["plain_north", "none"],
                "tariff": [tariff_of_north, "none"],
                "name": ["none"],
            }
        )

    meanwhile()
    look()
    market.own("PUT", f"{auction}/baseline", {"buses": [{"bus": "far", "power_w": [10_000, 10_000]}]})
    meanwhile()
    for number in (1, 2):
        mine.append(market.own("POST", f"{auction}/offers", offer(number)).json()["offer"]["id"])
        hour = {"network": "north", "bus": "far", "resolution": "PT1H", "power_w": [number]}
        market.own("POST", "/v1/meters/readings", {**hour, "start": (NOON - 3 * HOUR).isoformat()})
        meanwhile()
    market.own("POST", f"/v1/resources/{own['resource']}/prequalifications", {"product": "plain_north"})
    market.own("POST", f"/v1/contracts/{own['contract']}/acceptance", {"version": 1})
    market.own(
        "PUT", f"/v1/auctions/{market.failing}/baseline", {"buses": [{"bus": "far", "power_w": [10_000, 10_000]}]}
    )
    market.own("POST", f"/v1/auctions/{market.failing}/offers", offer(1))
    load = {"bus": "far", "p_w": [500_000, 500_000], "q_var": [0, 0]}
    market.do("grid", "PUT", f"/v1/auctions/{market.failing}/forecast", {"injections": [load]})
    market.do("grid", "POST", f"/v1/auctions/{market.failing}/requests", IMPOSSIBLE)
    market.do("grid", "POST", f"{auction}/requests", LIMIT)
    market.do("grid", "POST", f"{auction}/requests", {**LIMIT, "import_limit_w": 19_000})
    market.clock.advance_to(NOON + timedelta(hours=1))
    look()
    meanwhile()
    market.own("PUT", f"{auction}/offers/{mine[0]}", offer(3), match='"1"')
    market.own("PUT", f"{auction}/offers/{mine[0]}", offer(4), match='"1"')
    market.own("DELETE", f"{auction}/offers/{mine[1]}", match='"1"')
    for each in rival_offers[:2]:
        market.own("DELETE", f"{auction}/offers/{each}", match='"1"')
    market.own("POST", f"{auction}/offers", {**OFFER, "bus": "nowhere"})
    look(market.continuous)
    meanwhile()
    look(market.failing, market.continuous)
    market.clock.advance_to(GATE)
    look()
    market.own("POST", f"{auction}/offers", offer(5))
    failed = clear_auction(market.failing, now=GATE, engine=market.engine)
    assert failed.state == "failed" and failed.failure is not None
    market.reasons.append(failed.failure)
    look(market.failing)  # nothing of it is ever published, nor does the reason say to others what was offered

    def clear(case: Case, options: Options) -> Result:
        look()  # the gate has closed, the solver works
        return clearing.clear(case, options)

    published = clear_auction(market.auction, now=GATE, engine=market.engine, clear=clear)
    assert published.state == "published"
    until = len(market.told)
    look()
    return market.told[:until], market.told[until:]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Played, Played]:
    """What the first aggregator is told alone, and beside a rival."""
    folder = tmp_path_factory.mktemp("markets")
    with place(folder / "beside a rival") as market:
        act = rival(market)
        act()
        path = f"/v1/auctions/{market.auction}/offers"
        known = [each["offer"]["id"] for each in market.do("rival", "GET", path).json()]
        beside = (*played(market, act, known), heard(market), market.reasons)
    with place(folder / "alone") as market:
        alone = (*played(market, lambda: None, known), heard(market), market.reasons)
    return alone, beside


def heard(market: Place) -> list[bytes]:
    """What the first aggregator, and a visitor of the auction's page, heard until publication."""
    return [*market.heard("/v1/events"), *market.heard(f"/auctions/{market.auction}/events")]


def test_nothing_that_an_aggregator_reads_before_publication_depends_on_its_rival(told: tuple[Played, Played]) -> None:
    (alone, _, _, _), (beside, _, _, _) = told
    assert [each[:2] for each in alone] == [each[:2] for each in beside]
    for one, other in zip(alone, beside, strict=True):
        assert one == other, one[0]


def test_nothing_that_an_aggregator_hears_before_publication_depends_on_its_rival(told: tuple[Played, Played]) -> None:
    (_, _, alone, _), (_, _, beside, _) = told
    types = {line for line in alone if line.startswith(b"event: ")}
    assert {b"event: auction.opened", b"event: statement.issued", b"event: auction.published"} <= types
    assert alone == beside


def test_the_script_reads_something_of_every_route(told: tuple[Played, Played]) -> None:
    """Of every kind of thing that the first aggregator owns it reads its own: an empty market has no secrets."""
    (alone, _, _, _), _ = told
    read = {
        re.sub(r"(_[0-9a-f]{20}|\?.*)", "", asked)
        for asked, status, _, body in alone
        if status == 200 and body != b"[]"
    }
    wanted = """
        contracts contracts/con resources/res resources/res/prequalifications webhooks/whk/deliveries meters/readings
        tariffs/tar/bills/bill tariffs/tar/bills/bill/versions tariffs/tar/bills/bill/transfers
        reliability auctions/auc/disputes/dis auctions/auc/statements auctions/auc/quality tariffs/tar/prices
        audit/heads audit/inclusion audit/consistency
    """
    assert {f"GET /v1/{each}" for each in wanted.split()} <= read


def test_why_an_auction_failed_depends_on_the_rival_and_is_not_told_to_others(told: tuple[Played, Played]) -> None:
    """What every useful offer would leave broken: whoever knew it would know what the others offered."""
    (alone, _, _, (reason,)), (beside, _, _, (other,)) = told
    assert reason != other
    for each in (*alone, *beside):
        assert reason.encode() not in each[3] and other.encode() not in each[3]
    assert any(b'"state":"failed"' in each[3] for each in alone)


def test_the_comparison_sees_a_rival_once_the_result_is_published(told: tuple[Played, Played]) -> None:
    (_, alone, _, _), (_, beside, _, _) = told
    changed = {one[0] for one, other in zip(alone, beside, strict=False) if one != other}
    assert any(each.endswith("/book") for each in changed)
    assert any(each.endswith("/result") for each in changed)
