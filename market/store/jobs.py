"""Clearings that are to be done, and which worker has taken one: a lease in the database that runs out by itself."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, delete, or_, select

from market.store.tables import ClearingJobRow


class Jobs:
    """Clearing jobs of one database transaction. Leases go by the database's clock, whatever the market's says."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session = session

    def add(self, auction: str, *, due_at: datetime) -> None:
        """An auction is to be cleared when its gate closes."""
        self._session.add(ClearingJobRow(auction=auction, due_at=due_at))

    def claim_due(self, now: datetime, *, worker: str, lease: timedelta) -> str | None:
        """Take the auction whose clearing has been due longest and that no living worker has; None without one.

        now : by the market's clock. Several workers that ask at once get different auctions.
        """
        free = or_(col(ClearingJobRow.lease_until).is_(None), col(ClearingJobRow.lease_until) < self._time())
        due = select(ClearingJobRow).where(ClearingJobRow.due_at <= now, free)
        first = due.order_by(col(ClearingJobRow.due_at), col(ClearingJobRow.auction)).limit(1)
        row = self._session.exec(first.with_for_update(skip_locked=True)).first()
        return None if row is None else self._taken(row, worker, lease)

    def claim(self, auction: str, *, worker: str, lease: timedelta) -> bool:
        """Take one auction; False where another worker has it, or nothing is left to be done."""
        row = self._locked(auction)
        if row is None or (row.worker not in (None, worker) and (row.lease_until or row.due_at) >= self._time()):
            return False
        self._taken(row, worker, lease)
        return True

    def renew(self, auction: str, *, worker: str, lease: timedelta) -> bool:
        """Hold on to an auction; False where it has gone to another worker."""
        held = self.holds(auction, worker=worker)
        return held and self.claim(auction, worker=worker, lease=lease)

    def holds(self, auction: str, *, worker: str) -> bool:
        """Whether a worker still has an auction; nobody can take it until this transaction ends."""
        row = self._locked(auction)
        return row is not None and row.worker == worker

    def release(self, auction: str, *, worker: str, rest: timedelta) -> None:
        """Give an auction back, undone. rest : for so long it is not due, so that others come first."""
        row = self._locked(auction)
        if row is not None and row.worker == worker:
            row.worker, row.lease_until = None, self._time() + rest
            self._session.add(row)

    def finish(self, auction: str) -> None:
        """Nothing is left to be done."""
        self._session.exec(delete(ClearingJobRow).where(col(ClearingJobRow.auction) == auction))

    def due(self, now: datetime) -> Iterable[str]:
        """Auctions whose clearing is due, whoever has them, the longest due first."""
        query = select(ClearingJobRow.auction).where(ClearingJobRow.due_at <= now)
        return self._session.exec(query.order_by(col(ClearingJobRow.due_at), col(ClearingJobRow.auction)))

    def _locked(self, auction: str) -> ClearingJobRow | None:
        query = select(ClearingJobRow).where(ClearingJobRow.auction == auction)
        return self._session.exec(query.with_for_update().execution_options(populate_existing=True)).one_or_none()

    def _taken(self, row: ClearingJobRow, worker: str, lease: timedelta) -> str:
        row.worker, row.lease_until = worker, self._time() + lease
        self._session.add(row)
        self._session.flush()
        return row.auction

    def _time(self) -> datetime:
        """The database's clock; SQLite has the machine's."""
        if self._session.get_bind().dialect.name == "sqlite":
            return datetime.now(UTC)
        told: datetime = self._session.exec(select(func.clock_timestamp())).one()
        return told.astimezone(UTC)
