"""Access tokens; organisations, and the clients that act for them."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Header, Request, Response
from pydantic import HttpUrl

from api_spec.organisation import (
    AuthServer,
    Client,
    ClientTerms,
    Credentials,
    Member,
    Organisation,
    OrganisationTerms,
    SigningKey,
    Token,
)
from market.api.auth import Anyone, ClientOwner, Operator
from market.api.basic import presented
from market.api.intake import StrictRoute
from market.api.paging import PageOf
from market.api.sections import Section
from market.api.world import WorldOf
from market.workflow import identity
from market.workflow.keys import rotate_keys

router = Section(route_class=StrictRoute)
tokens = APIRouter()
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)]
Field = Annotated[str | None, Form(max_length=1000, pattern=r"^[\x20-\x7e]*$")]


@tokens.get("/auth/server")
def auth_server(request: Request, world: WorldOf) -> AuthServer:
    """Where tokens are given (OpenADR 3.1)."""
    base = world.settings.public_url or str(request.base_url)
    return AuthServer(token_url=HttpUrl(f"{base.rstrip('/')}/auth/token"))


@tokens.post("/auth/token")
def issue_token(
    world: WorldOf,
    response: Response,
    grant_type: Annotated[str, Form(max_length=200)],
    client_id: Field = None,
    client_secret: Field = None,
    scope: Field = None,
    authorization: Annotated[str | None, Header(max_length=3000)] = None,
) -> Token:
    """An access token for client credentials (RFC 6749, section 4.4), for all of the client's scopes or some."""
    response.headers["Cache-Control"] = "no-store"
    client = presented(authorization, client_id, client_secret, grant_type=grant_type)
    login = identity.authenticate(client.client_id, client.secret, engine=world.engine)
    return world.tokens.issue(login, identity.granted(login, scope))


@tokens.get("/.well-known/jwks.json")
def public_keys(world: WorldOf) -> dict[str, list[dict[str, Any]]]:
    """The public keys that access tokens can be checked with (RFC 7517)."""
    return world.tokens.public_keys()


@router.post("/keys", status_code=201)
def replace_signing_key(who: Operator, world: WorldOf, key: Key = None) -> SigningKey:
    """Sign tokens with a new key; those that are out stay valid until they expire."""
    now, ttl = world.clock.now(), world.settings.token_ttl
    return rotate_keys(now=now, token_ttl=ttl, engine=world.engine).public()


@router.post("/organisations", status_code=201)
def register_organisation(terms: OrganisationTerms, who: Operator, world: WorldOf, key: Key = None) -> Credentials:
    """Register an organisation; its secret is shown once, so no answer is stored for a repeated key."""
    clock, new_id, secret = world.clock, world.new_id, identity.Secret.new(world.hashing)
    return world.write(
        lambda work: identity.register_organisation(terms, clock=clock, work=work, new_id=new_id, secret=secret)
    )


@router.get("/organisations")
def organisations(who: Operator, world: WorldOf, page: PageOf) -> list[Member]:
    """All organisations, in the order of their ids."""
    with world.reading() as work:
        found = work.participants.members(after=page.after or "", limit=page.limit + 1)
    if len(found) > page.limit:
        page.link_next(found[page.limit - 1].id)
    return found[: page.limit]


@router.get("/organisations/me")
def me(who: Anyone) -> Organisation:
    """The organisation that calls."""
    return who


@router.put("/organisations/{organisation}/suspension")
def suspend(organisation: str, who: Operator, world: WorldOf) -> Member:
    """Let none of an organisation's clients in, from now on."""
    now = world.clock.now()
    return world.write(lambda work: identity.suspend(organisation, by=who, now=now, work=work))


@router.delete("/organisations/{organisation}/suspension")
def reinstate(organisation: str, who: Operator, world: WorldOf) -> Member:
    """Let a suspended organisation's clients in again."""
    return world.write(lambda work: identity.reinstate(organisation, work=work))


@router.get("/organisations/{organisation}/clients")
def clients(organisation: str, who: ClientOwner, world: WorldOf, page: PageOf) -> list[Client]:
    """The clients of one's own organisation, revoked ones too; of any organisation for an operator."""
    with world.reading() as work:
        return page.of(identity.clients(organisation, by=who, work=work), lambda each: each.id)


@router.post("/organisations/{organisation}/clients", status_code=201)
def add_client(organisation: str, terms: ClientTerms, who: ClientOwner, world: WorldOf, key: Key = None) -> Credentials:
    """Make a client that may do no more than the caller; its secret is shown once, a repeated key makes another."""
    now, engine = world.clock.now(), world.engine
    return identity.add_client(organisation, terms, by=who, now=now, engine=engine, new_id=world.new_id)


@router.delete("/organisations/{organisation}/clients/{client}", status_code=204)
def revoke_client(organisation: str, client: str, who: ClientOwner, world: WorldOf) -> None:
    """Let a client in no more, its tokens neither; not the one that asks."""
    now = world.clock.now()
    world.write(lambda work: identity.revoke_client(organisation, client, by=who, now=now, work=work))
