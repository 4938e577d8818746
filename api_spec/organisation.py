"""Who takes part: organisations, their roles and their API credentials."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from api_spec.ids import OrganisationId
from api_spec.units import Count, Message

Role: TypeAlias = Literal["dso", "aggregator", "operator"]


class OrganisationTerms(Message):
    """An organisation to be registered."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    role: Role


class Organisation(OrganisationTerms):
    """A registered organisation."""

    id: OrganisationId


class Credentials(Message):
    """OAuth2 client credentials; the secret is shown once and kept only as a hash."""

    organisation: OrganisationId
    client_id: str
    client_secret: str


class Token(Message):
    """An access token as RFC 6749 section 5.1 words it."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: Count
    scope: str
