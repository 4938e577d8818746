"""The clock that gates go by: the database's, so that all workers have the same."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Engine, text

_ASKED_AGAIN_S: Final = 5.0


class DatabaseClock:
    """The database's time; SQLite has the machine's. It never goes back, whatever happens to either.

    Between two questions to the database the time since the last one is counted by a clock that nobody sets.
    """

    def __init__(self, engine: Engine) -> None:
        """Of a database."""
        self._engine = engine
        self._lock = threading.Lock()
        self._told, self._counted = self._ask(), time.monotonic()
        self._last = self._told

    def now(self) -> datetime:
        """The present instant."""
        with self._lock:
            since = time.monotonic() - self._counted
            if since > _ASKED_AGAIN_S:
                self._told, self._counted, since = self._ask(), time.monotonic(), 0.0
            self._last = max(self._last, self._told + timedelta(seconds=since))
            return self._last

    def _ask(self) -> datetime:
        if self._engine.dialect.name == "sqlite":
            return datetime.now(UTC)
        with self._engine.connect() as connection:
            told: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return told.astimezone(UTC)
