"""Who takes part: organisations, their roles, what each may do, and the clients that act for them."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, HttpUrl

from api_spec.ids import OrganisationId
from api_spec.units import Count, Message

Role: TypeAlias = Literal["dso", "aggregator", "operator"]
Scope: TypeAlias = Literal[
    "read_market",  # networks of one's own, auctions, requests, tariffs; results and books once they are published
    "read_orders",  # one's own offers, baselines, awards, readings, resources, contracts; a DSO: sums per bus
    "read_accounts",  # one's own statements and ledger entries
    "write_market",  # networks, auctions, forecasts, products, prequalification, contracts, tariffs and bills
    "write_requests",
    "write_offers",  # resources, baselines, offers, acknowledgements, accepting contracts
    "write_readings",
    "write_accounts",  # agreeing with statements, and disputing them
    "manage_clients",  # the organisation's own API clients and webhooks
    "operate",  # what only the market's operator does
]

Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]

_EVERYBODY: Final = ("read_market", "read_orders", "read_accounts", "manage_clients")
SCOPES: Final[Mapping[Role, frozenset[Scope]]] = MappingProxyType(
    {
        "dso": frozenset({*_EVERYBODY, "write_market", "write_requests"}),
        "aggregator": frozenset({*_EVERYBODY, "write_offers", "write_readings", "write_accounts"}),
        "operator": frozenset({*_EVERYBODY, "write_market", "operate"}),
    }
)
"""Everything that an organisation of a role may do; a client of its may do this or less."""


class OrganisationTerms(Message):
    """An organisation to be registered."""

    name: Name
    role: Role


class Organisation(OrganisationTerms):
    """A registered organisation."""

    id: OrganisationId


class Member(Organisation):
    """An organisation as the operator sees it. suspended_at : since when none of its clients is let in."""

    registered_at: datetime
    suspended_at: datetime | None = None


class ClientTerms(Message):
    """An API client to be made for an organisation.

    scopes : what it may do; absent = as much as the client that makes it.
    """

    name: Name
    scopes: Annotated[frozenset[Scope], Field(min_length=1)] | None = None


class Client(Message):
    """An API client of an organisation; its secret is shown to nobody again."""

    id: str
    organisation: OrganisationId
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    revoked_at: datetime | None = None


class Credentials(Message):
    """OAuth2 client credentials; the secret is shown once and kept only as a hash."""

    organisation: OrganisationId
    client_id: str
    client_secret: str


class Token(Message):
    """An access token as RFC 6749 section 5.1 words it. scope : what it may do, separated by spaces."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: Count
    scope: str


class AuthServer(Message):
    """Where tokens are given (OpenADR 3.1, `GET /auth/server`)."""

    token_url: Annotated[HttpUrl, Field(alias="tokenURL")]


class SigningKey(Message):
    """A key that tokens are signed with, without its secret. retires_at : until when its tokens are believed."""

    kid: str
    created_at: datetime
    retires_at: datetime | None = None
