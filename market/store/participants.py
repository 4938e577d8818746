"""Organisations, networks, and answers given under an Idempotency-Key."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Pool, bindparam, insert
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from api_spec.grid import Network
from api_spec.organisation import Client, Member, Organisation
from market.errors import AlreadyExists, NotFound
from market.store.identities import Identities
from market.store.plain import asked
from market.store.tables import NetworkRow, OrganisationRow, metadata


@dataclass(frozen=True)
class Answer:
    """What was answered under an Idempotency-Key, to which operation and body."""

    operation: str
    body_sha256: str
    document: str


_KNOWN: Final[WeakKeyDictionary[Pool, dict[tuple[str, datetime], Network]]] = WeakKeyDictionary()
"""Of each database, networks by name and time of registration: they never change, and every order is held to one."""
_MOST_KNOWN: Final = 64


_ANSWERS: Final = metadata.tables["answer"]
_ANSWER: Final = select_columns(_ANSWERS.c.operation, _ANSWERS.c.body_sha256, _ANSWERS.c.document).where(
    _ANSWERS.c.organisation == bindparam("of"), _ANSWERS.c.key == bindparam("under")
)
"""Built once: it is asked before every order."""
_REMEMBER: Final = insert(_ANSWERS)


class Participants:
    """Who takes part, and on which networks."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session = session

    def add(self, organisation: Organisation, *, client_id: str, secret_hash: str, now: datetime) -> None:
        """Register an organisation, with its first client, which may do all that its role may."""
        self._session.add(OrganisationRow(**organisation.model_dump(), created_at=now))
        self._session.flush()
        first = Client(id=client_id, organisation=organisation.id, name="first", scopes=(), created_at=now)
        Identities(self._session).add_client(first, secret_hash=secret_hash, every_scope=True)

    def organisation(self, organisation: str) -> Organisation:
        """An organisation by its id; NotFound."""
        row = self._row(organisation)
        return Organisation.model_validate({"id": row.id, "name": row.name, "role": row.role})

    def members(self, *, after: str, limit: int) -> list[Member]:
        """Organisations in the order of their ids, those after `after`."""
        query = select(OrganisationRow).where(OrganisationRow.id > after)
        rows = self._session.exec(query.order_by(col(OrganisationRow.id)).limit(limit))
        return [_member(row) for row in rows]

    def suspend(self, organisation: str, *, since: datetime | None) -> Member:
        """Let no client of an organisation in, since the time given; None lets them in again. NotFound."""
        row = self._row(organisation)
        row.suspended_at = since
        self._session.add(row)
        return _member(row)

    def has_operator(self) -> bool:
        """Whether the market has been set up."""
        return self._session.exec(select(OrganisationRow).where(OrganisationRow.role == "operator")).first() is not None

    def add_network(self, network: Network, *, dso: str, now: datetime) -> None:
        """Register a network under its name; AlreadyExists where the name is taken."""
        if self._session.get(NetworkRow, network.name) is not None:
            raise AlreadyExists("network", network.name)
        row = NetworkRow(name=network.name, dso=dso, document=network.model_dump_json(), registered_at=now)
        self._session.add(row)
        self._session.flush()

    def network(self, name: str) -> tuple[Network, str]:
        """A network and the DSO it belongs to; NotFound."""
        query = select(NetworkRow.dso, NetworkRow.registered_at).where(NetworkRow.name == name)
        found = self._session.exec(query).one_or_none()
        if found is None:
            raise NotFound("network", name)
        dso, registered_at = found
        known = _KNOWN.setdefault(self._session.get_bind().engine.pool, {})
        if (name, registered_at) not in known:
            document = self._session.exec(select(NetworkRow.document).where(NetworkRow.name == name)).one()
            if len(known) >= _MOST_KNOWN:
                known.clear()
            known[name, registered_at] = Network.model_validate_json(document)
        return known[name, registered_at], dso

    def answer(self, organisation: str, key: str) -> Answer | None:
        """What was answered under this key, if anything."""
        found = asked(self._session, _ANSWER, of=organisation, under=key).one_or_none()
        return None if found is None else Answer(*found)

    def remember(self, organisation: str, key: str, answer: Answer) -> None:
        """Keep an answer, in the transaction of what it answers."""
        kept = {
            "organisation": organisation,
            "key": key,
            "operation": answer.operation,
            "body_sha256": answer.body_sha256,
            "document": answer.document,
        }
        # Not an object of the session: nobody looks at it again, and every POST has one.
        self._session.connection().execute(_REMEMBER, kept)

    def _row(self, organisation: str) -> OrganisationRow:
        row = self._session.get(OrganisationRow, organisation)
        if row is None:
            raise NotFound("organisation", organisation)
        return row


def _member(row: OrganisationRow) -> Member:
    return Member.model_validate(
        {
            "id": row.id,
            "name": row.name,
            "role": row.role,
            "registered_at": row.created_at,
            "suspended_at": row.suspended_at,
        }
    )
