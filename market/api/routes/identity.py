"""Organisations and access tokens."""

from typing import Annotated

from fastapi import APIRouter, Form, Header

from api_spec.organisation import Credentials, Organisation, OrganisationTerms, Token
from market.api.auth import Anyone, Operator
from market.api.intake import StrictRoute
from market.api.world import WorldOf
from market.errors import Unauthenticated
from market.workflow import identity

router = APIRouter(route_class=StrictRoute)
tokens = APIRouter()


@tokens.post("/auth/token")
def issue_token(
    world: WorldOf,
    grant_type: Annotated[str, Form(pattern="^client_credentials$")],
    client_id: Annotated[str, Form(max_length=200)],
    client_secret: Annotated[str, Form(max_length=200)],
) -> Token:
    """An access token for client credentials (RFC 6749, section 4.4)."""
    with world.reading() as work:
        who = identity.authenticate(client_id, client_secret, work=work)
    if who is None:
        raise Unauthenticated("these client credentials are not valid")
    return world.tokens.issue(who)


@router.post("/organisations", status_code=201)
def register_organisation(
    terms: OrganisationTerms,
    who: Operator,
    world: WorldOf,
    key: Annotated[str | None, Header(alias="Idempotency-Key")] = None,
) -> Credentials:
    """Register an organisation; its secret is shown once, so no answer is stored for a repeated key."""
    return world.write(
        lambda work: identity.register_organisation(terms, clock=world.clock, work=work, new_id=world.new_id)
    )


@router.get("/organisations/me")
def me(who: Anyone) -> Organisation:
    """The organisation that calls."""
    return who
