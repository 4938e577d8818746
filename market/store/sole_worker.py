"""SQLite carries one worker: a lock on a file beside the database says that there is one."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Engine

from market.errors import DatabaseOutOfReach, SecondWorker


@contextlib.contextmanager
def sole_worker(engine: Engine) -> Iterator[None]:
    """Be the only process that serves a SQLite database; on PostgreSQL there may be many.

    Raises SecondWorker where another one is, and DatabaseOutOfReach where nothing can be written beside the file. The
    system gives the lock back when a process ends, however it ends.
    """
    database = engine.url.database
    if engine.dialect.name != "sqlite" or not database:
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(Path(f"{database}.worker").open("w", encoding="ascii"))
        except OSError as failure:
            raise DatabaseOutOfReach(database, failure.strerror or type(failure).__name__) from failure
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as failure:
            raise SecondWorker(database) from failure
        yield
