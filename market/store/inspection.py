"""Which version of the schema a database has and whether this program knows it; how its secrets stand."""

from collections import Counter
from dataclasses import dataclass

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from market.store.beginning import BEGINS, READS
from market.store.engine import migrations
from market.store.sealing import Standing, standing


@dataclass(frozen=True)
class Schema:
    """current : revision of the database; None before the first migration. newest : the one this program needs.

    behind : how many migrations are to be run; None where this program does not know the database's revision.
    """

    current: str | None
    newest: str
    behind: int | None

    @property
    def fits(self) -> bool:
        """Whether this program can work on it as it is."""
        return self.behind == 0


def schema_of(engine: Engine) -> Schema:
    """The schema of a database; nothing is changed in it."""
    with engine.connect().execution_options(**{BEGINS: READS}) as connection:
        return schema_at(MigrationContext.configure(connection).get_current_revision())


def secrets_of(engine: Engine) -> Counter[Standing]:
    """How many secrets of a database stand how. Raises KeyFileUnusable where some are sealed and there is no key."""
    with engine.connect().execution_options(**{BEGINS: READS}) as connection:
        return standing(connection)


def schema_at(current: str | None) -> Schema:
    """How far a revision is behind the newest one."""
    revisions = [each.revision for each in ScriptDirectory.from_config(migrations()).walk_revisions()]
    done = len(revisions) if current is None else revisions.index(current) if current in revisions else None
    return Schema(current, newest=revisions[0], behind=done)
