"""Every endpoint, called by everybody, for everybody's ids: generated from the application's own routes.

What is expected stands in `tests/access_table.py`, one line for a route: add yours there. Callers: nobody, an expired
token, garbage, a token of another scope, two organisations of every role; ids: one's own, somebody else's, and ones
that do not exist. Each route that changes something is called on a fresh copy of one database, by its own server.
"""

import json
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Final, get_args

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import Engine, create_engine, text

from api_spec.organisation import SCOPES, Scope
from api_spec.problem import Problem
from market.api.app import create_app
from market.api.serving import serving
from market.clock import SimulatedClock, SystemClock
from market.settings import Settings
from market.store import open_engine
from market.workflow.hashing import CHEAP
from tests.access_table import OTHER, TABLE, Public, Row, own_id
from tests.belongings import OPERATORS
from tests.two_markets import DATABASE, KEYS, LIMIT, MOST_PAID, NOW, SETTINGS, TwoMarkets, build

PUBLIC: Final = ("network", "product", "tariff", "request")
KINDS: Final = ("own", "foreign", "none")
GARBAGE: Final = ("Bearer x.y.z", "Bearer", "Basic eDp5", "Bearer " + "." * 3)


def routes() -> list[str]:
    """METHOD /path of everything under /v1 and /auth."""
    app = create_app(Settings(), clock=SystemClock(), engine=create_engine("sqlite://"), watch_gates=False)
    found = [
        f"{method} {each.path}"
        for each in iter_route_contexts(app.routes)
        for method in sorted((each.methods or set()) - {"HEAD"})
        if (each.path or "").startswith(("/v1/", "/auth/"))
    ]
    return sorted(found)


def test_every_route_has_its_line_in_the_table_and_every_line_its_route() -> None:
    assert sorted(TABLE) == routes()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TwoMarkets:
    return build(tmp_path_factory.mktemp("world"))


class Calls:
    """One route of a running market, called by anybody for any ids; every answer is kept."""

    def __init__(self, http: httpx.Client, world: TwoMarkets, route: str, row: Row) -> None:
        self._http, self._world, self._row = http, world, row
        self._method, self._path = route.split(" ")
        self._path += f"?{row.query}" if row.query else ""
        self.parameters = re.findall(r"\{(\w+)\}", self._path)

    def __call__(self, name: str, kinds: tuple[str, ...], authorization: str | None) -> httpx.Response:
        """As the party of this name, who may send somebody's token, or none."""
        ids = {each: self._id(name, each, kind) for each, kind in zip(self.parameters, kinds, strict=True)}
        row = self._row
        headers = {"Idempotency-Key": uuid.uuid4().hex, "X-Request-ID": "matrix", **row.headers}
        if authorization is not None:
            headers["Authorization"] = authorization
        body = None if row.body is None else row.body(self._world, self._world.parties[name])
        with self._http.stream(self._method, self._path.format(**ids), json=body, headers=headers) as answer:
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                return httpx.Response(answer.status_code)  # it never ends: what is told is compared below
            answer.read()
        if answer.is_error:
            problem = Problem.model_validate_json(answer.content)
            assert (problem.status, answer.headers["content-type"]) == (answer.status_code, "application/problem+json")
        return answer

    def seen(self, name: str, kinds: tuple[str, ...], answer: httpx.Response) -> tuple[int, str, list[tuple[str, str]]]:
        """All of an answer but for its date, with the ids of the path left out."""
        text, left_out = answer.text, ("date", "content-length")
        ids = [self._id(name, parameter, kind) for parameter, kind in zip(self.parameters, kinds, strict=True)]
        for each in sorted(ids, key=len, reverse=True):  # of those that do not exist, one may be the end of another
            text = text.replace(each, "*")
        return answer.status_code, text, [each for each in answer.headers.items() if each[0] not in left_out]

    def _id(self, name: str, parameter: str, kind: str) -> str:
        owner = name if kind != "foreign" else self._stranger(name, parameter)
        mine = own_id(self._world, owner, parameter, self._row.at)
        return mine if kind != "none" else re.sub(r"[0-9a-z]", "0", mine)

    def _stranger(self, name: str, parameter: str) -> str:
        role = self._world.parties[name].role
        if parameter in ("auction", "tariff") and role != "dso":
            return "other grid"
        return "elsewhere" if role == "operator" else OTHER[name]


@contextmanager
def copy_of(world: TwoMarkets, folder: Path) -> Iterator[tuple[httpx.Client, Engine]]:
    """A server of its own over a copy of the world: what one route changes, the next one does not see."""
    for name in (DATABASE, KEYS):
        shutil.copy(world.folder / name, folder / name)
    engine = open_engine(f"sqlite:///{folder / DATABASE}")
    try:
        app = create_app(
            SETTINGS, clock=SimulatedClock(NOW), engine=engine, watch_gates=False, send_webhooks=False, hashing=CHEAP
        )
        with serving(app) as url, httpx.Client(base_url=url, timeout=30) as http:
            yield http, engine
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def unchanged(world: TwoMarkets, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Engine]]:
    """One server for all that only reads."""
    with copy_of(world, tmp_path_factory.mktemp("unchanged")) as served:
        yield served


@pytest.mark.parametrize("route", [each for each, row in TABLE.items() if isinstance(row, Row) and each[:4] == "GET "])
def test_everybody_reads_what_the_table_says_and_learns_nothing_of_others(
    world: TwoMarkets, unchanged: tuple[httpx.Client, Engine], route: str
) -> None:
    hold_to_the_table(world, unchanged, route)


@pytest.mark.parametrize("route", [each for each, row in TABLE.items() if isinstance(row, Row) and each[:4] != "GET "])
def test_everybody_changes_what_the_table_says_and_learns_nothing_of_others(
    world: TwoMarkets, tmp_path: Path, route: str
) -> None:
    with copy_of(world, tmp_path) as served:
        hold_to_the_table(world, served, route)


def hold_to_the_table(world: TwoMarkets, served: tuple[httpx.Client, Engine], route: str) -> None:
    """One route, called by everybody for everything."""
    (http, engine), row = served, TABLE[route]
    assert isinstance(row, Row)
    call = Calls(http, world, route, row)
    ids = sorted(product(KINDS, repeat=len(call.parameters)), key=lambda kinds: set(kinds) == {"own"})
    allowed = [name for name in OTHER if world.parties[name].role in row.roles]
    refuse_all(call, world, engine, [each for each in ids if len(set(each)) < 2], row)
    told = {}
    # What is one's own comes last: it may be gone afterwards.
    for kinds, name in product(ids, allowed):
        token = world.token(engine, name, frozenset({row.scope}))
        answer = call(name, kinds, f"Bearer {token}")
        expected = row.expected(name, world.parties[name].role, kinds)
        assert answer.status_code == expected, (name, kinds, answer.text)
        told[name, kinds] = call.seen(name, kinds, answer)
        assert not [each for each in secrets_from(name, world) if each in told[name, kinds][1]], (name, kinds)
    for (name, kinds), answer_seen in told.items():
        for place, parameter in enumerate(call.parameters):
            public = parameter == "auction" and row.roles != ("dso",)
            if kinds[place] == "foreign" and answer_seen[0] == 404 and not public:
                same = (*kinds[:place], "none", *kinds[place + 1 :])
                assert answer_seen == told[name, same], (name, kinds)


def test_everybody_hears_the_events_that_are_its_own_and_of_others_only_what_is_public(
    world: TwoMarkets, tmp_path: Path
) -> None:
    """All that was ever told, up to a request that everybody hears of; whose it is stands in the outbox."""
    with copy_of(world, tmp_path) as (http, engine):
        asked = f"/v1/auctions/{world.auctions['open'][0]}/requests"
        token = world.token(engine, "grid", frozenset({"write_requests"}))
        answer = http.post(asked, json=LIMIT, headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "last"})
        assert answer.status_code == 201, answer.text
        last = answer.json()["request"]["id"]
        with engine.connect() as connection:
            told = connection.execute(text("SELECT audience, document FROM outbox ORDER BY sequence")).all()
        types: dict[str, set[str]] = {}
        for name, party in world.parties.items():
            heard = list(events_until(last, http, world.token(engine, name, frozenset({"read_orders"}))))
            its_own = {"everybody", party.organisation} | ({"operators"} if party.role == "operator" else set())
            assert heard == [document for audience, document in told if audience in its_own], name
            assert not [each for each in secrets_from(name, world) if each in "".join(heard)], name
            types[name] = {json.loads(each)["type"] for each in heard}
        public = set.intersection(*types.values())
        assert {"auction.opened", "auction.published", "auction.settled", "request.submitted"} <= public
        assert {name for name, heard_of in types.items() if "reading.received" in heard_of} == set(OPERATORS)
        for own in ("award.made", "statement.issued"):
            paid = {name for name, party in world.parties.items() if party.role == "aggregator"}
            assert {name for name, heard_of in types.items() if own in heard_of} == paid


def events_until(request: str, http: httpx.Client, token: str) -> Iterator[str]:
    """The documents of events from the first one on, to the one that tells of a request."""
    headers = {"Authorization": f"Bearer {token}", "Last-Event-ID": "start"}
    with http.stream("GET", "/v1/events", headers=headers) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                yield line.removeprefix("data: ")
                if request in line:
                    return


def test_a_proof_asks_for_the_scope_of_what_it_proves(
    world: TwoMarkets, unchanged: tuple[httpx.Client, Engine]
) -> None:
    """It holds the values: who may read orders may prove orders, and who may read accounts a statement."""
    http, engine = unchanged
    settled, offer = world.auctions["settled"][0], world.parties["homes"].owns["offer settled"]
    scopes: dict[str, Scope] = {"offer": "read_orders", "award": "read_orders", "statement": "read_accounts"}
    for kind, scope in scopes.items():
        asked = {"kind": kind, "auction": settled} | ({} if kind == "statement" else {"offer": offer})
        for given in get_args(Scope)[:3]:
            token = world.token(engine, "homes", frozenset({given}))
            answer = http.get("/v1/audit/inclusion", params=asked, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == (200 if given == scope else 403), (kind, given, answer.text)


def secrets_from(name: str, world: TwoMarkets) -> Iterator[str]:
    """What must not stand in any answer to a party, unless it named it itself: who its rivals are, their offers."""
    role = world.parties[name].role
    rivals = [each for other, each in world.parties.items() if other != name and each.role == role != "operator"]
    for each in rivals:
        yield from (each.client, each.spare)
        yield from (id for kind, id in each.owns.items() if kind.split(" ")[0] not in PUBLIC)
        if role == "aggregator":
            yield each.organisation
    if role == "aggregator":
        yield MOST_PAID


def refuse_all(call: Calls, world: TwoMarkets, engine: Engine, ids: list[tuple[str, ...]], row: Row) -> None:
    """Everybody who may not call is told so, whatever the ids are: 401 without a token, 403 with a wrong one."""
    issued = NOW - SETTINGS.token_ttl
    for name in OTHER:
        role = world.parties[name].role
        others: frozenset[Scope] = SCOPES[role] - {row.scope}
        wrong = f"Bearer {world.token(engine, name, others if role in row.roles else SCOPES[role])}"
        refused(call, name, wrong, ids, status=403)
        expired = f"Bearer {world.token(engine, name, SCOPES[role], now=issued)}"
        assert call(name, ids[0], expired).status_code == 401
    for authorization in (None, expired, *GARBAGE):
        refused(call, "grid", authorization, ids, status=401)


def refused(call: Calls, name: str, authorization: str | None, ids: list[tuple[str, ...]], *, status: int) -> None:
    """With one answer, whatever was asked for."""
    first, *others = [call.seen(name, kinds, call(name, kinds, authorization)) for kinds in ids]
    assert first[0] == status, (name, first)
    assert all(each == first for each in others)


@pytest.mark.parametrize("route", [route for route, row in TABLE.items() if isinstance(row, Public)])
def test_public_routes_ask_for_no_token(world: TwoMarkets, tmp_path: Path, route: str) -> None:
    row, (method, path) = TABLE[route], route.split(" ")
    assert isinstance(row, Public)
    with copy_of(world, tmp_path) as (http, _):
        for headers in ({}, {"Authorization": GARBAGE[0]}):
            assert http.request(method, path, headers=headers).status_code == row.status
