"""Who is let in: API clients and the organisations they act for, and the keys that tokens are signed with."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection, Engine, bindparam, func
from sqlalchemy import select as select_columns
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, select

from api_spec.organisation import SCOPES, Client, Organisation, Role, Scope, SigningKey
from market.errors import NotFound
from market.store.engine import ONE_ANSWER
from market.store.tables import ClientRow, SigningKeyRow, metadata
from market.store.vault import vault_of

_CLIENT, _OWNER = metadata.tables["client"], metadata.tables["organisation"]
_LOGIN: Final = (
    select_columns(_CLIENT.c.id, _CLIENT.c.secret_hash, _CLIENT.c.scopes, _OWNER.c.id, _OWNER.c.name, _OWNER.c.role)
    .join(_OWNER, _OWNER.c.id == _CLIENT.c.organisation)
    .where(_CLIENT.c.id == bindparam("client"), _CLIENT.c.revoked_at.is_(None), _OWNER.c.suspended_at.is_(None))
)
"""Built once: it is asked before everything else."""


@dataclass(frozen=True)
class Login:
    """A client that is let in. secret_hash : what its secret is checked against. scopes : what it may do."""

    client: str
    organisation: Organisation
    secret_hash: str
    scopes: frozenset[Scope]


@dataclass(frozen=True)
class KeyPair:
    """A signing key with its secret, as JSON (RFC 8037)."""

    kid: str
    private_jwk: str
    created_at: datetime
    retires_at: datetime | None

    def public(self) -> SigningKey:
        """What may be shown of it."""
        return SigningKey(kid=self.kid, created_at=self.created_at, retires_at=self.retires_at)


def let_in(client: str, *, engine: Engine) -> Login | None:
    """As Identities.login, without a transaction."""
    with engine.connect() as connection:
        return _login(client, connection.execution_options(**ONE_ANSWER))


def _login(client: str, connection: Connection) -> Login | None:
    found = connection.execute(_LOGIN, {"client": client}).one_or_none()
    if found is None:
        return None
    id, secret_hash, scopes, owner, name, role = found
    organisation = _organisation(owner, name, role)
    return Login(id, organisation, secret_hash, _scopes(scopes, organisation))


@lru_cache(maxsize=1000)
def _organisation(id: str, name: str, role: Role) -> Organisation:
    """The few that there are are let in all the time."""
    return Organisation(id=id, name=name, role=role)


class Identities:
    """Clients and signing keys of one database transaction."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session, self._vault = session, vault_of(session.get_bind())

    def login(self, client: str) -> Login | None:
        """A client that is neither revoked nor of a suspended organisation, in one query; None for any other."""
        return _login(client, self._session.connection())

    def add_client(self, client: Client, *, secret_hash: str, every_scope: bool) -> None:
        """Keep a new client. every_scope : it may do all that its role may, also what roles may do later."""
        self._session.add(
            ClientRow(
                id=client.id,
                organisation=client.organisation,
                name=client.name,
                secret_hash=secret_hash,
                scopes=None if every_scope else " ".join(client.scopes),
                created_at=client.created_at,
            )
        )
        self._session.flush()

    def clients(self, organisation: Organisation) -> list[Client]:
        """All clients of an organisation, revoked ones too, the oldest first."""
        query = select(ClientRow).where(ClientRow.organisation == organisation.id)
        rows = self._session.exec(query.order_by(col(ClientRow.created_at), col(ClientRow.id)))
        return [
            Client(
                id=row.id,
                organisation=row.organisation,
                name=row.name,
                scopes=tuple(sorted(_scopes(row.scopes, organisation))),
                created_at=row.created_at,
                revoked_at=row.revoked_at,
            )
            for row in rows
        ]

    def revoke(self, organisation: str, client: str, *, now: datetime) -> None:
        """Let a client in no more; harmless to repeat. NotFound, also for another organisation's."""
        row = self._session.get(ClientRow, client)
        if row is None or row.organisation != organisation:
            raise NotFound("client", client)
        row.revoked_at = row.revoked_at or now
        self._session.add(row)

    def signing_keys(self) -> list[KeyPair]:
        """All signing keys on record, the one that signs last."""
        rows = self._session.exec(select(SigningKeyRow).order_by(col(SigningKeyRow.number)))
        return [
            KeyPair(row.kid, self._vault.open_text(row.private_jwk), row.created_at, row.retires_at) for row in rows
        ]

    def add_key(self, key: KeyPair, *, after: str | None) -> bool:
        """Keep the key that signs from now on; False where another one came after `after` meanwhile: use that."""
        newest = self._session.exec(select(SigningKeyRow).order_by(col(SigningKeyRow.number).desc())).first()
        if (None if newest is None else newest.kid) != after:
            return False
        number = 1 if newest is None else newest.number + 1
        sealed = self._vault.seal_text(key.private_jwk)
        row = SigningKeyRow(number=number, kid=key.kid, private_jwk=sealed, created_at=key.created_at)
        try:
            with self._session.begin_nested():
                self._session.add(row)
        except IntegrityError:
            return False
        return True

    def retire_keys(self, *, at: datetime) -> None:
        """Believe all keys but the newest until `at` at the latest."""
        newest = self._session.exec(select(func.max(SigningKeyRow.number))).one()
        for row in self._session.exec(select(SigningKeyRow).where(col(SigningKeyRow.number) < newest)):
            row.retires_at = at if row.retires_at is None else min(at, row.retires_at)
            self._session.add(row)

    def forget_keys(self, *, now: datetime) -> None:
        """Delete the keys that nothing is believed of any more."""
        self._session.exec(delete(SigningKeyRow).where(col(SigningKeyRow.retires_at) <= now))


def _scopes(kept: str | None, organisation: Organisation) -> frozenset[Scope]:
    all_of_role = SCOPES[organisation.role]
    return all_of_role if kept is None else all_of_role & frozenset(kept.split())
