"""The unit of work: one transaction, and the queries that workflow steps ask of it."""

from types import TracebackType
from typing import Self

from sqlalchemy import Engine

from market.store.auctions import Auctions
from market.store.audit import AuditLog
from market.store.money import Money
from market.store.orders import Orders
from market.store.participants import Participants
from market.store.witness import WitnessedSession


class UnitOfWork:
    """One transaction; what is not committed is rolled back.

    participants, auctions, orders, money, audit : queries and writes, each over its own tables. Whatever is written
    leaves its leaf for the audit log in the same transaction (`market.store.witness`).
    """

    def __init__(self, engine: Engine) -> None:
        """Nothing is sent to the database before it is entered."""
        self._engine = engine

    def __enter__(self) -> Self:
        """Begin."""
        self._session = WitnessedSession(self._engine, expire_on_commit=False)
        self.participants = Participants(self._session)
        self.auctions = Auctions(self._session)
        self.orders = Orders(self._session)
        self.money = Money(self._session)
        self.audit = AuditLog(self._session)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Roll back what was not committed."""
        self._session.close()

    def commit(self) -> None:
        """Make everything durable, at once."""
        self._session.commit()
