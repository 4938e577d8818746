"""A consistent copy of a whole database while others write to it, and an empty database filled from one."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias
from urllib.parse import quote

from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from market.errors import BackupFailed, DatabaseNotEmpty, RestoreFailed, ToolMissing
from market.store.durably import sync
from market.store.engine import open_engine
from market.store.soundness import Contents, contents

Kind: TypeAlias = Literal["sqlite", "postgresql"]

_BLOCK_BYTES: Final = 1 << 16
_LEFTOVERS: Final = ("-wal", "-shm", "-journal")


class Copying(Protocol):
    """How one kind of database is copied."""

    @property
    def kind(self) -> Kind:
        """Of database: its copies fit no other."""
        ...

    def copy(self, file: Path) -> Contents:
        """Write a copy as of one instant to a new file; gives what is in it. Raises BackupFailed, ToolMissing."""
        ...

    def require_empty(self) -> None:
        """Raise DatabaseNotEmpty where anything would be overwritten."""
        ...

    def fill(self, file: Path) -> Contents:
        """Make the empty database what the copy is, all or nothing; gives what is in it.

        Raises DatabaseNotEmpty, RestoreFailed, ToolMissing.
        """
        ...


def copy_file(database: Path, file: Path) -> None:
    """Write a SQLite database as of one instant to a new file; sqlite3.Error."""
    address = f"file:{quote(str(database))}?mode=rw"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=10)) as source,
        closing(sqlite3.connect(file)) as target,
    ):
        source.backup(target)  # all pages in one step: a step at a time would begin anew at each commit


def refresh_copy(file: Path, *, of: Path) -> None:
    """Make a copy, or none, what a SQLite database is now; only what differs is written. sqlite3.Error.

    For a database that nobody uses meanwhile, and a copy that nobody needs until then.
    """
    with closing(sqlite3.connect(f"file:{quote(str(of))}?mode=rw", uri=True, timeout=10)) as database:
        database.execute("PRAGMA synchronous=OFF")
        busy, _, _ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise sqlite3.OperationalError(f"{of} is in use")
    file.touch()
    with of.open("rb") as source, file.open("r+b") as target:
        at = 0
        while block := source.read(_BLOCK_BYTES):
            if target.read(len(block)) != block:
                target.seek(at)
                target.write(block)
            at += len(block)
            target.seek(at)
        target.truncate(at)


def copying(engine: Engine, *, postgres_bin: Path | None) -> Copying:
    """How this database is copied. postgres_bin : folder of pg_dump and pg_restore; absent = PATH."""
    if engine.dialect.name == "sqlite":
        return SqliteCopying(Path(engine.url.database or ""))
    return PostgresCopying(engine, postgres_bin)


@dataclass(frozen=True)
class SqliteCopying:
    """By SQLite's online backup: one read transaction, which no writer waits for."""

    database: Path

    @property
    def kind(self) -> Kind:
        """A file of SQLite's."""
        return "sqlite"

    def copy(self, file: Path) -> Contents:
        """Write a copy as of one instant to a new file."""
        if not self.database.is_file():
            raise BackupFailed(f"there is no database at {self.database}")
        try:
            copy_file(self.database, file)
            return _contents_of_file(file)
        except (sqlite3.Error, SQLAlchemyError) as failure:
            raise BackupFailed(f"{self.database}: {_cause(failure)}") from failure

    def require_empty(self) -> None:
        """There must be no file; a log of another database beside a new one would be taken for its own."""
        for found in (self.database, *(self.database.with_name(self.database.name + each) for each in _LEFTOVERS)):
            if found.exists():
                raise DatabaseNotEmpty(str(self.database), f"{found} exists")

    def fill(self, file: Path) -> Contents:
        """Put the copy into its place, which must still be free, once it is known to be sound."""
        try:
            held = _contents_of_file(file)
        except SQLAlchemyError as failure:
            raise RestoreFailed(f"the copy cannot be read: {_cause(failure)}") from failure
        if not held.defects:
            sync(file)
            try:
                os.link(file, self.database)
            except FileExistsError as failure:
                raise DatabaseNotEmpty(str(self.database), f"{self.database} exists") from failure
            sync(self.database.absolute().parent)
        return held


@dataclass(frozen=True)
class PostgresCopying:
    """By pg_dump in a snapshot of the server's, and by pg_restore in one transaction."""

    engine: Engine
    folder: Path | None

    @property
    def kind(self) -> Kind:
        """A database of PostgreSQL's."""
        return "postgresql"

    def copy(self, file: Path) -> Contents:
        """Dump as of one instant; what is in it is asked in the same snapshot."""
        tool = self._tool("pg_dump")
        with self.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            # It is idle all the while, which the engine's own connections must not be for long.
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
            held = contents(connection)
            options = ("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={file}")
            done = self._run(tool, *options)
        if done.returncode != 0:
            raise BackupFailed(f"pg_dump failed: {_last_words(done)}")
        return held

    def require_empty(self) -> None:
        """There must be no table."""
        tables = inspect(self.engine).get_table_names()
        if tables:
            raise DatabaseNotEmpty(self.engine.url.render_as_string(), f"it has a table {sorted(tables)[0]}")

    def fill(self, file: Path) -> Contents:
        """Restore in one transaction; constraints are checked as they are made."""
        tool = self._tool("pg_restore")
        done = self._run(tool, "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", str(file))
        if done.returncode != 0:
            raise RestoreFailed(f"pg_restore failed, and nothing was changed: {_last_words(done)}")
        with self.engine.connect() as connection:
            return contents(connection)

    def _tool(self, name: str) -> str:
        found = shutil.which(name) if self.folder is None else shutil.which(name, path=str(self.folder))
        if found is None:
            raise ToolMissing(name, "on PATH" if self.folder is None else f"in {self.folder}")
        return found

    def _run(self, tool: str, *options: str) -> subprocess.CompletedProcess[str]:
        """The password goes by the environment: a command line can be read by every user of the machine."""
        url = self.engine.url
        address = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
        secret = {} if url.password is None else {"PGPASSWORD": url.password}
        return subprocess.run(
            [tool, f"--dbname={address}", "--no-password", *options],
            env={**os.environ, **secret},
            capture_output=True,
            text=True,
            check=False,
        )


def _contents_of_file(file: Path) -> Contents:
    """And the file is then one again: what the log beside it had is in it."""
    engine = open_engine(f"sqlite:///{file}")
    try:
        with engine.connect() as connection:
            return contents(connection)
    finally:
        engine.dispose()


def _cause(failure: Exception) -> str:
    """A database's own words, without the statement around them."""
    return str(getattr(failure, "orig", None) or failure)


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}"
