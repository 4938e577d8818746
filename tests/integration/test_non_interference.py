"""What one aggregator can read does not depend on what another one offers, until the result is published.

The same script is played in two markets with the same seed and clock. In one of them a rival nominates, offers,
replaces, withdraws and is refused all the while. Everything that the first aggregator can read, by every GET of the
application and in the answers to its own orders, is compared byte by byte, with every header but the date.

A new route is read without being asked. A new kind of id in a path gets its values in `played`; a route whose answers
are random, or never end, is left out by name, with the reason.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeAlias

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import Engine

from api_spec.case import Case
from api_spec.organisation import Credentials, OrganisationTerms, Role
from api_spec.result import Result
from market import clearing
from market.api.app import create_app
from market.api.serving import serving
from market.api.tokens import Tokens
from market.clearing import Options
from market.clock import SimulatedClock
from market.ids import seeded_ids
from market.store import UnitOfWork, migrate, open_engine
from market.workflow.clearing import clear_auction
from market.workflow.identity import register_organisation
from tests.small_cases import Document
from tests.two_markets import DAY, LIMIT, NOON, OFFER, SETTINGS, auction_terms, street

Said: TypeAlias = tuple[str, int, tuple[tuple[str, str], ...], bytes]
"""What was asked, and all of the answer but its date."""
Told: TypeAlias = tuple[list[Said], list[Said]]
LEFT_OUT: Final = {
    "/.well-known/jwks.json": "the keys of the two markets are random",
    "/runs/{name}/files/{file:path}": "files of simulations, which no order changes",
    "/{path:path}": "nothing is there",
}
GATE: Final = NOON + DAY / 2


class Place:
    """A market and its parties; what the first aggregator is told is kept."""

    def __init__(self, url: str, engine: Engine, clock: SimulatedClock, gets: list[str]) -> None:
        self.engine, self.clock, self.gets = engine, clock, gets
        self.told: list[Said] = []
        self._http = httpx.Client(base_url=url, timeout=30)
        self._tokens: dict[str, str] = {}
        self.organisations: dict[str, str] = {}
        new_id = seeded_ids(7)
        roles: dict[str, Role] = {"grid": "dso", "first": "aggregator", "rival": "aggregator"}
        for name, role in roles.items():
            with UnitOfWork(engine) as work:
                terms = OrganisationTerms(name=name, role=role)
                made = register_organisation(terms, clock=clock, work=work, new_id=new_id)
                work.commit()
            self.organisations[name], self._tokens[name] = made.organisation, self._token(made)
        self.do("grid", "POST", "/v1/networks", street("north"))
        self.auction = self.do("grid", "POST", "/v1/auctions", auction_terms("north", begins=NOON + DAY)).json()["id"]

    def close(self) -> None:
        self._http.close()

    def do(self, who: str, method: str, path: str, body: Document | None = None, *, match: str = "") -> httpx.Response:
        """An order of somebody; the same key in both markets. match : the version that is meant (If-Match)."""
        sent = {"Authorization": self._tokens[who], "Idempotency-Key": f"{who} {method} {path} {body}"[:200]}
        if match:
            sent["If-Match"] = match
        return self._http.request(method, path, json=body, headers=sent)

    def own(self, method: str, path: str, body: Document | None = None, *, match: str = "") -> httpx.Response:
        """The same of the first aggregator; the answer counts as something that it was told."""
        answer = self.do("first", method, f"/v1/auctions/{self.auction}{path}", body, match=match)
        self._keep(f"{method} {path}", answer)
        return answer

    def read_everything(self, ids: dict[str, list[str]]) -> None:
        """By every GET, for every one of some ids, whole and page by page."""
        for path in self.gets:
            parameters = re.findall(r"\{(\w+)\}", path)
            for values in _choices(ids, parameters):
                url: str | None = path.format(**values)
                self._keep(f"GET {url}", self.do("first", "GET", f"{url}"))
                url = f"{url}?limit=1"
                while url:
                    answer = self.do("first", "GET", url)
                    self._keep(f"GET {url}", answer)
                    url = answer.links.get("next", {}).get("url")

    def _keep(self, asked: str, answer: httpx.Response) -> None:
        headers = tuple(each for each in answer.headers.multi_items() if each[0] != "date")
        self.told.append((asked, answer.status_code, headers, answer.content))

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
    clock = SimulatedClock(NOON)
    settings = SETTINGS.model_copy(update={"public_url": "http://market"})
    app = create_app(settings, clock=clock, engine=engine, watch_gates=False, new_id=seeded_ids(8))
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
    """Offers ever more, replaces, withdraws, and is refused."""
    auction, counted = f"/v1/auctions/{market.auction}", iter(range(1_000))
    standing: list[str] = []

    def act() -> None:
        number = next(counted)
        buses = [{"bus": "far", "power_w": [9_000 + number, 9_000]}]
        assert market.do("rival", "PUT", f"{auction}/baseline", {"buses": buses}).status_code == 200
        for each in range(3):
            answer = market.do("rival", "POST", f"{auction}/offers", offer(10 * number + each))
            assert answer.status_code == 201
            standing.append(answer.json()["offer"]["id"])
        path = f"{auction}/offers/{standing[-1]}"
        assert market.do("rival", "PUT", path, offer(500 + number), match='"1"').status_code == 200
        assert market.do("rival", "DELETE", path, match='"2"').status_code == 204
        elsewhere = {**OFFER, "bus": "nowhere"}
        assert market.do("rival", "POST", f"{auction}/offers", elsewhere).status_code == 422

    return act


def played(market: Place, meanwhile: Callable[[], None], rival_offers: list[str]) -> Told:
    """What the first aggregator is told until publication, and then. rival_offers : ids that it tries."""
    auction = f"/v1/auctions/{market.auction}"
    mine: list[str] = []

    def look() -> None:
        market.read_everything(
            {
                "auction": [market.auction, "auc_none"],
                "offer": [*mine, *rival_offers[:2], "off_none"],
                "organisation": list(market.organisations.values()),
                "name": ["north", "none"],
            }
        )

    meanwhile()
    look()
    market.own("PUT", "/baseline", {"buses": [{"bus": "far", "power_w": [10_000, 10_000]}]})
    meanwhile()
    for number in (1, 2):
        mine.append(market.own("POST", "/offers", offer(number)).json()["offer"]["id"])
        meanwhile()
    market.do("grid", "POST", f"{auction}/requests", LIMIT)
    market.do("grid", "POST", f"{auction}/requests", {**LIMIT, "import_limit_w": 19_000})
    market.clock.advance_to(NOON + timedelta(hours=1))
    look()
    meanwhile()
    market.own("PUT", f"/offers/{mine[0]}", offer(3), match='"1"')
    market.own("PUT", f"/offers/{mine[0]}", offer(4), match='"1"')
    market.own("DELETE", f"/offers/{mine[1]}", match='"1"')
    for each in rival_offers[:2]:
        market.own("DELETE", f"/offers/{each}", match='"1"')
    market.own("POST", "/offers", {**OFFER, "bus": "nowhere"})
    look()
    meanwhile()
    market.clock.advance_to(GATE)
    look()
    market.own("POST", "/offers", offer(5))

    def clear(case: Case, options: Options) -> Result:
        look()  # the gate has closed, the solver works
        return clearing.clear(case, options)

    published = clear_auction(market.auction, now=GATE, engine=market.engine, clear=clear)
    assert published.state == "published"
    until = len(market.told)
    look()
    return market.told[:until], market.told[until:]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Told, Told]:
    """What the first aggregator is told alone, and beside a rival."""
    folder = tmp_path_factory.mktemp("markets")
    with place(folder / "beside a rival") as market:
        act = rival(market)
        act()
        path = f"/v1/auctions/{market.auction}/offers"
        known = [each["offer"]["id"] for each in market.do("rival", "GET", path).json()]
        beside = played(market, act, known)
    with place(folder / "alone") as market:
        alone = played(market, lambda: None, known)
    return alone, beside


def test_nothing_that_an_aggregator_reads_before_publication_depends_on_its_rival(told: tuple[Told, Told]) -> None:
    (alone, _), (beside, _) = told
    assert [each[:2] for each in alone] == [each[:2] for each in beside]
    for one, other in zip(alone, beside, strict=True):
        assert one == other, one[0]


def test_the_comparison_sees_a_rival_once_the_result_is_published(told: tuple[Told, Told]) -> None:
    (_, alone), (_, beside) = told
    changed = {one[0] for one, other in zip(alone, beside, strict=False) if one != other}
    assert any(each.endswith("/book") for each in changed)
    assert any(each.endswith("/result") for each in changed)
