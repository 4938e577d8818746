"""Organisations and their credentials."""

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import Engine

from api_spec.organisation import Credentials, Organisation, OrganisationTerms
from market.clock import Clock
from market.errors import AlreadyExists
from market.ids import NewId, random_id
from market.store import UnitOfWork

_hasher = PasswordHasher()


def register_organisation(
    terms: OrganisationTerms, *, clock: Clock, work: UnitOfWork, new_id: NewId = random_id
) -> Credentials:
    """Register an organisation; the answer holds its secret, which is kept only as a hash."""
    organisation = Organisation(id=new_id("org"), name=terms.name, role=terms.role)
    credentials = Credentials(
        organisation=organisation.id, client_id=new_id("client"), client_secret=secrets.token_urlsafe(32)
    )

    work.participants.add(
        organisation,
        client_id=credentials.client_id,
        secret_hash=_hasher.hash(credentials.client_secret),
        now=clock.now(),
    )
    return credentials


def bootstrap_operator(name: str, *, engine: Engine, clock: Clock) -> Credentials:
    """Register the first operator of a new market; AlreadyExists where there is one."""
    with UnitOfWork(engine) as work:
        if work.participants.has_operator():
            raise AlreadyExists("operator", name)
        credentials = register_organisation(OrganisationTerms(name=name, role="operator"), clock=clock, work=work)
        work.commit()
    return credentials


def authenticate(client_id: str, client_secret: str, *, work: UnitOfWork) -> Organisation | None:
    """Whose credentials these are; None where they are nobody's.

    An unknown client takes as long as a wrong secret, so that the time of an answer says nothing.
    """
    login = work.participants.login(client_id)
    known = _NOBODY if login is None else login.secret_hash
    try:
        _hasher.verify(known, client_secret)
    except VerifyMismatchError:
        return None
    return None if login is None else login.organisation


_NOBODY = _hasher.hash(secrets.token_urlsafe(32))
