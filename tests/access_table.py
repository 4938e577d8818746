"""Who may call which endpoint, and what it answers: one line for every route of the market.

`tests/integration/test_access_matrix.py` calls every route of the application in the market of `tests/two_markets.py`,
as everybody and for everybody's ids, and holds the answers to this table. A route without a line fails, and a line
without a route. To add a route, add its line:

    "GET /v1/auctions/{auction}/offers": Row("read_orders", AGGREGATOR, foreign=200),

- the only scope that the token has, and the roles; everybody else gets 403, and 401 without a valid token;
- `own`: the status where every id in the path is the caller's own (200 unless it is named; the body comes from `body`);
- `foreign`: the status where every id is somebody else's: 404 unless it is named; one for all roles, or by role. The
  auction is public, so reading it is often 200. Ids that do not exist, and mixtures, always get 404, and a foreign id
  gets the very answer that one gets which does not exist;
- `body`: what is sent, made of the world and the caller; `at`: how far the auction is: "open" (unless it is named),
  "delivered" (published, and delivery is over) or "settled";
- `headers`: sent as well, such as If-Match.

Whose id is whose stands in `own_id`; a new kind of id in a path gets its line there, and its object in two_markets.py.
A route that asks for no token is `Public(status)`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from api_spec.organisation import Role, Scope
from tests.two_markets import DAY, DELIVERED, LIMIT, NOW, OFFER, Party, Phase, TwoMarkets, auction_terms, street

Body: TypeAlias = Callable[[TwoMarkets, Party], Any]


@dataclass(frozen=True)
class Row:
    """A route that asks for a token; see above."""

    scope: Scope
    roles: tuple[Role, ...]
    own: int = 200
    foreign: int | Mapping[Role, int] = 404
    body: Body | None = None
    at: Phase = "open"
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def expected(self, role: Role, kinds: tuple[str, ...]) -> int:
        """Status for ids of these kinds: "own", "foreign", "none"."""
        if all(each == "own" for each in kinds):
            return self.own
        if all(each == "foreign" for each in kinds):
            return self.foreign if isinstance(self.foreign, int) else self.foreign.get(role, 404)
        return 404


@dataclass(frozen=True)
class Public:
    """A route that asks for no token, and what it answers to an empty request."""

    status: int = 200


def own_id(world: TwoMarkets, name: str, kind: str, at: Phase) -> str:
    """The id of a kind (a parameter's name in a path) that belongs to a party; auctions: that it takes part in.

    Who can own nothing of the kind calls for somebody's.
    """
    party = world.parties[name]
    somebody_s = {key: each for other in world.parties.values() for key, each in other.owns.items()}
    by_kind = {
        **somebody_s,
        **party.owns,
        "auction": world.auctions[at][name == "other grid"],
        "organisation": party.organisation,
        "client": party.spare,
    }
    return by_kind[kind]


OTHER: Final = {
    "operator": "second operator",
    "second operator": "operator",
    "grid": "other grid",
    "other grid": "grid",
    "homes": "parking",
    "parking": "homes",
}
"""Of every caller, the organisation of the same role whose ids are foreign to it. An auction is foreign to an
aggregator where it has nothing, which is the other DSO's; to an operator, what is an aggregator's."""

DSO: Final[tuple[Role, ...]] = ("dso",)
AGGREGATOR: Final[tuple[Role, ...]] = ("aggregator",)
OPERATOR: Final[tuple[Role, ...]] = ("operator",)
ANYONE: Final[tuple[Role, ...]] = (*DSO, *AGGREGATOR, *OPERATOR)
FIRST: Final = MappingProxyType({"If-Match": '"1"'})
_BUSES: Final = [{"bus": "far", "power_w": [1_000, 1_000]}]


def _offer(world: TwoMarkets, who: Party) -> Any:
    return OFFER


def _request(world: TwoMarkets, who: Party) -> Any:
    return LIMIT


def _baseline(world: TwoMarkets, who: Party) -> Any:
    return {"buses": _BUSES}


def _reading(world: TwoMarkets, who: Party) -> Any:
    return {"start": DELIVERED.isoformat(), "buses": _BUSES}


def _forecast(world: TwoMarkets, who: Party) -> Any:
    return {"injections": []}


def _network(world: TwoMarkets, who: Party) -> Any:
    return street(f"new, of {who.organisation}")


def _terms(world: TwoMarkets, who: Party) -> Any:
    return auction_terms(who.owns.get("name", "north"), begins=NOW + 2 * DAY)


def _organisation(world: TwoMarkets, who: Party) -> Any:
    return {"name": "new", "role": "aggregator"}


def _client(world: TwoMarkets, who: Party) -> Any:
    return {"name": "new"}


_CLIENTS: Final = "/v1/organisations/{organisation}/clients"
_SUSPENSION: Final = "/v1/organisations/{organisation}/suspension"
_ANY: Final[Mapping[Role, int]] = MappingProxyType({"operator": 200})

TABLE: Final[Mapping[str, Row | Public]] = {
    # tokens
    "GET /auth/server": Public(),
    "POST /auth/token": Public(422),
    "POST /v1/keys": Row("operate", OPERATOR, own=201),
    # organisations and clients
    "POST /v1/organisations": Row("operate", OPERATOR, own=201, body=_organisation),
    "GET /v1/organisations": Row("operate", OPERATOR),
    "GET /v1/organisations/me": Row("read_market", ANYONE),
    f"PUT {_SUSPENSION}": Row("operate", OPERATOR, own=409, foreign=200),
    f"DELETE {_SUSPENSION}": Row("operate", OPERATOR, foreign=200),
    f"GET {_CLIENTS}": Row("manage_clients", ANYONE),
    f"POST {_CLIENTS}": Row("manage_clients", ANYONE, own=201, body=_client),
    f"DELETE {_CLIENTS}/{{client}}": Row("manage_clients", ANYONE, own=204),
    # networks and auctions
    "POST /v1/networks": Row("write_market", DSO, own=201, body=_network),
    "GET /v1/networks/{name}": Row("read_market", (*DSO, *OPERATOR), foreign=_ANY),
    "POST /v1/auctions": Row("write_market", DSO, own=201, body=_terms),
    "GET /v1/auctions": Row("read_market", ANYONE),
    "GET /v1/auctions/{auction}": Row("read_market", ANYONE, foreign=200),
    "PUT /v1/auctions/{auction}/forecast": Row("write_market", DSO, body=_forecast),
    "GET /v1/auctions/{auction}/bus-baselines": Row("read_orders", DSO),
    "POST /v1/auctions/{auction}/clear": Row("operate", OPERATOR, own=409, foreign=409),
    "POST /v1/auctions/{auction}/settle": Row("operate", OPERATOR, own=409, foreign=409),
    # orders
    "POST /v1/auctions/{auction}/requests": Row("write_requests", DSO, own=201, body=_request),
    "GET /v1/auctions/{auction}/requests": Row("read_market", ANYONE, foreign=200),
    "DELETE /v1/auctions/{auction}/requests/{request}": Row("write_requests", DSO, own=204),
    "PUT /v1/auctions/{auction}/baseline": Row("write_offers", AGGREGATOR, foreign=200, body=_baseline),
    "GET /v1/auctions/{auction}/baseline": Row("read_orders", AGGREGATOR),
    "POST /v1/auctions/{auction}/offers": Row("write_offers", AGGREGATOR, own=201, foreign=409, body=_offer),
    "GET /v1/auctions/{auction}/offers": Row("read_orders", AGGREGATOR, foreign=200),
    "GET /v1/auctions/{auction}/offers/{offer}": Row("read_orders", AGGREGATOR),
    "PUT /v1/auctions/{auction}/offers/{offer}": Row("write_offers", AGGREGATOR, body=_offer, headers=FIRST),
    "DELETE /v1/auctions/{auction}/offers/{offer}": Row("write_offers", AGGREGATOR, own=204, headers=FIRST),
    # outcome
    "GET /v1/auctions/{auction}/result": Row("read_market", ANYONE, foreign=200, at="settled"),
    "GET /v1/auctions/{auction}/awards": Row("read_orders", AGGREGATOR, foreign=200, at="settled"),
    "GET /v1/auctions/{auction}/book": Row("read_market", ANYONE, foreign=200, at="settled"),
    "POST /v1/auctions/{auction}/readings": Row(
        "write_readings", AGGREGATOR, own=201, foreign=422, body=_reading, at="delivered"
    ),
    "GET /v1/auctions/{auction}/readings": Row("read_orders", AGGREGATOR, foreign=200, at="settled"),
    "GET /v1/auctions/{auction}/statement": Row("read_accounts", AGGREGATOR, at="settled"),
    "GET /v1/auctions/{auction}/transfers": Row("read_accounts", ANYONE, foreign=200, at="settled"),
}
