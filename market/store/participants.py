"""Organisations, their credentials, networks, and answers given under an Idempotency-Key."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlmodel import Session, select

from api_spec.grid import Network
from api_spec.organisation import Organisation
from market.errors import AlreadyExists, NotFound
from market.store.tables import AnswerRow, NetworkRow, OrganisationRow


@dataclass(frozen=True)
class Login:
    """An organisation and the hash that its secret is checked against."""

    organisation: Organisation
    secret_hash: str


@dataclass(frozen=True)
class Answer:
    """What was answered under an Idempotency-Key, to which operation and body."""

    operation: str
    body_sha256: str
    document: str


@lru_cache(maxsize=64)
def _parsed(document: str) -> Network:
    """A network never changes, and every order is held to it."""
    return Network.model_validate_json(document)


class Participants:
    """Who takes part, and on which networks."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session = session

    def add(self, organisation: Organisation, *, client_id: str, secret_hash: str, now: datetime) -> None:
        """Register an organisation."""
        terms = organisation.model_dump()
        self._session.add(OrganisationRow(**terms, client_id=client_id, secret_hash=secret_hash, created_at=now))
        self._session.flush()

    def organisation(self, organisation: str) -> Organisation:
        """An organisation by its id; NotFound."""
        row = self._session.get(OrganisationRow, organisation)
        if row is None:
            raise NotFound("organisation", organisation)
        return Organisation(id=row.id, name=row.name, role=row.role)

    def login(self, client_id: str) -> Login | None:
        """Whose client id this is, if anybody's."""
        row = self._session.exec(select(OrganisationRow).where(OrganisationRow.client_id == client_id)).one_or_none()
        return None if row is None else Login(self.organisation(row.id), row.secret_hash)

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
        row = self._session.get(NetworkRow, name)
        if row is None:
            raise NotFound("network", name)
        return _parsed(row.document), row.dso

    def answer(self, organisation: str, key: str) -> Answer | None:
        """What was answered under this key, if anything."""
        row = self._session.get(AnswerRow, (organisation, key))
        return None if row is None else Answer(row.operation, row.body_sha256, row.document)

    def remember(self, organisation: str, key: str, answer: Answer) -> None:
        """Keep an answer, in the transaction of what it answers."""
        row = AnswerRow(
            organisation=organisation,
            key=key,
            operation=answer.operation,
            body_sha256=answer.body_sha256,
            document=answer.document,
        )
        self._session.add(row)
