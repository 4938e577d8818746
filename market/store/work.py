"""The unit of work: one transaction, and the queries that workflow steps ask of it."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Final, Self, TypeVar

import stamina
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from market.store.auctions import Auctions
from market.store.audit import AuditLog
from market.store.bills import Bills
from market.store.catalogue import Catalogue
from market.store.contracts import Contracts
from market.store.deliveries import Deliveries
from market.store.disputes import Disputes
from market.store.engine import ONLY_READS
from market.store.identities import Identities
from market.store.jobs import Jobs
from market.store.meters import Meters
from market.store.money import Money
from market.store.notices import Notices
from market.store.orders import Orders
from market.store.outbox import Outbox
from market.store.participants import Participants
from market.store.reservations import Reservations
from market.store.resources import Resources
from market.store.tariffs import Tariffs
from market.store.webhooks import Webhooks
from market.store.witness import WitnessedSession

T = TypeVar("T")
ATTEMPTS: Final = 6
_OVERTAKEN: Final = frozenset({"40001", "40P01", "23505", "SQLITE_BUSY"})
"""What ends well when it is done again: serialization failure, deadlock, a row that another transaction made first (the
repetition finds it there), and a turn at SQLite's one lock that did not come within its time-out."""


class UnitOfWork:
    """One transaction; what is not committed is rolled back. reading : it writes nothing, and waits for nobody.

    participants, auctions, orders, ... : queries and writes, each over its own tables. Whatever is written leaves its
    leaf for the audit log in the same transaction (`market.store.witness`).
    """

    def __init__(self, engine: Engine, *, reading: bool = False) -> None:
        """Nothing is sent to the database before it is entered."""
        self._engine, self._reading = engine, reading

    def __enter__(self) -> Self:
        """Begin."""
        self._session = WitnessedSession(self._engine, expire_on_commit=False)
        if self._reading:
            self._session.connection(execution_options=ONLY_READS)
        self.participants = Participants(self._session)
        self.identities = Identities(self._session)
        self.auctions = Auctions(self._session)
        self.orders = Orders(self._session)
        self.money = Money(self._session)
        self.disputes = Disputes(self._session)
        self.jobs = Jobs(self._session)
        self.meters = Meters(self._session)
        self.deliveries = Deliveries(self._session)
        self.catalogue = Catalogue(self._session)
        self.resources = Resources(self._session)
        self.reservations = Reservations(self._session)
        self.contracts = Contracts(self._session)
        self.tariffs = Tariffs(self._session)
        self.bills = Bills(self._session)
        self.outbox = Outbox(self._session)
        self.webhooks = Webhooks(self._session)
        self.notices = Notices(self._session)
        self.audit = AuditLog(self._session)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Roll back what was not committed."""
        self._session.close()

    def commit(self) -> None:
        """Make everything durable, at once, with what it gave to tell."""
        self.outbox.write()
        self._session.commit()

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """What fails inside is undone, and nothing else of the transaction."""
        with self.outbox.undone_with_failure(), self._session.begin_nested():
            yield


def transact(engine: Engine, step: Callable[[UnitOfWork], T]) -> T:
    """Run a step in a transaction of its own and commit; all of it again where the database broke it off.

    The step may run several times; what it leaves outside of the database must not mind.
    """
    for attempt in again_when_overtaken():
        with attempt, UnitOfWork(engine) as work:
            answer = step(work)
            work.commit()
    return answer


def again_when_overtaken() -> Iterable[stamina.Attempt]:
    """Attempts at a whole transaction, with jittered pauses between them."""
    return stamina.retry_context(on=overtaken, attempts=ATTEMPTS, timeout=20.0, wait_initial=0.01, wait_max=0.5)


def overtaken(failure: Exception) -> bool:
    """Whether the database broke a transaction off that ends well when it is done again."""
    cause = failure.orig if isinstance(failure, DBAPIError) else None
    return getattr(cause, "sqlstate", getattr(cause, "sqlite_errorname", None)) in _OVERTAKEN
