"""Organisations and the clients that act for them.

Secrets are hashed and checked outside of any transaction: a hash takes longer than everything else that a market does
for one request.
"""

import secrets
from datetime import datetime
from typing import NamedTuple, Self

from sqlalchemy import Engine

from api_spec.organisation import (
    SCOPES,
    Client,
    ClientTerms,
    Credentials,
    Member,
    Organisation,
    OrganisationTerms,
    Scope,
)
from market.clock import Clock
from market.errors import AlreadyExists, ClientInUse, NotFound, ScopesNotGranted, TokenRefused
from market.ids import NewId, random_id
from market.store import UnitOfWork, transact
from market.store.identities import Login
from market.workflow.hashing import HASHING, Hashing


class Caller(Organisation):
    """The organisation that calls, by which of its clients, and what the client's token is good for."""

    client: str
    scopes: frozenset[Scope]


class Secret(NamedTuple):
    """A new client's secret, and what is kept of it."""

    text: str
    hash: str

    @classmethod
    def new(cls, hashing: Hashing = HASHING) -> Self:
        """A random one; Busy."""
        text = secrets.token_urlsafe(32)
        return cls(text, hashing.of(text))


def register_organisation(
    terms: OrganisationTerms,
    *,
    clock: Clock,
    work: UnitOfWork,
    new_id: NewId = random_id,
    secret: Secret | None = None,
) -> Credentials:
    """Register an organisation with its first client; the answer holds its secret, which is kept only as a hash.

    secret : made before, where others wait for the transaction.
    """
    organisation = Organisation(id=new_id("org"), name=terms.name, role=terms.role)
    client, (text, kept) = new_id("client", organisation.id), secret or Secret.new()

    work.participants.add(organisation, client_id=client, secret_hash=kept, now=clock.now())
    return Credentials(organisation=organisation.id, client_id=client, client_secret=text)


def bootstrap_operator(name: str, *, engine: Engine, clock: Clock, hashing: Hashing = HASHING) -> Credentials:
    """Register the first operator of a new market; AlreadyExists where there is one."""
    with UnitOfWork(engine) as work:
        if work.participants.has_operator():
            raise AlreadyExists("operator", name)
        terms, secret = OrganisationTerms(name=name, role="operator"), Secret.new(hashing)
        credentials = register_organisation(terms, clock=clock, work=work, secret=secret)
        work.commit()
    return credentials


def has_operator(*, engine: Engine) -> bool:
    """Whether anybody can register organisations yet."""
    with UnitOfWork(engine, reading=True) as work:
        return work.participants.has_operator()


def authenticate(client_id: str, client_secret: str, *, engine: Engine) -> Login:
    """The client whose credentials these are; TokenRefused where they are nobody's, or no longer anybody's."""
    with UnitOfWork(engine, reading=True) as work:
        login = work.identities.login(client_id)

    if not HASHING.fits(client_secret, None if login is None else login.secret_hash) or login is None:
        raise TokenRefused("invalid_client", "these client credentials are not valid")
    return login


def granted(login: Login, asked: str | None) -> frozenset[Scope]:
    """The scopes of a new token: those that are asked for, or all of the client's; TokenRefused for any beyond."""
    named = None if asked is None else frozenset(asked.split())
    if named is not None and (not named or not named <= login.scopes):
        known = " ".join(sorted(login.scopes))
        raise TokenRefused("invalid_scope", f"this client may be granted only: {known}")
    return login.scopes if named is None else login.scopes & named


def clients(organisation: str, *, by: Caller, work: UnitOfWork) -> list[Client]:
    """The clients of one's own organisation; an operator sees those of any."""
    return work.identities.clients(_reached(organisation, by, work))


def add_client(
    organisation: str, terms: ClientTerms, *, by: Caller, now: datetime, engine: Engine, new_id: NewId = random_id
) -> Credentials:
    """Make a client that may do no more than the one that makes it; ScopesNotGranted otherwise."""
    with UnitOfWork(engine, reading=True) as work:
        owner = _reached(organisation, by, work)
    most = by.scopes if owner.id == by.id else SCOPES[owner.role]
    scopes = terms.scopes or most
    if not scopes <= most:
        raise ScopesNotGranted(sorted(scopes - most))
    every_scope = terms.scopes is None and scopes == SCOPES[owner.role]
    granted_scopes = tuple(sorted(scopes))
    client_id = new_id("client", owner.id)
    client = Client(id=client_id, organisation=owner.id, name=terms.name, scopes=granted_scopes, created_at=now)
    secret = Secret.new()

    transact(
        engine,
        lambda work: work.identities.add_client(client, secret_hash=secret.hash, every_scope=every_scope),
    )
    return Credentials(organisation=owner.id, client_id=client.id, client_secret=secret.text)


def revoke_client(organisation: str, client: str, *, by: Caller, now: datetime, work: UnitOfWork) -> None:
    """Let a client in no more, from the next request on; ClientInUse for the one that asks."""
    owner = _reached(organisation, by, work)
    if client == by.client and owner.id == by.id:
        raise ClientInUse(client)

    work.identities.revoke(owner.id, client, now=now)


def suspend(organisation: str, *, by: Caller, now: datetime, work: UnitOfWork) -> Member:
    """Let no client of an organisation in, from the next request on; ClientInUse for the operator that asks."""
    if organisation == by.id:
        raise ClientInUse(by.client)
    return work.participants.suspend(organisation, since=now)


def reinstate(organisation: str, *, work: UnitOfWork) -> Member:
    """Let a suspended organisation in again, with the clients that it had."""
    return work.participants.suspend(organisation, since=None)


def _reached(organisation: str, by: Caller, work: UnitOfWork) -> Organisation:
    """One's own organisation, or any where one may operate; others look as if they did not exist."""
    if organisation != by.id and "operate" not in by.scopes:
        raise NotFound("organisation", organisation)
    return work.participants.organisation(organisation)
