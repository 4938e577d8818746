"""Where secrets stand in the database and how, and sealing those that stand otherwise than they should."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, Engine, Table, delete, inspect, select, update

from market.errors import SecretsUnreadable
from market.store.tables import metadata
from market.store.vault import Vault, is_sealed, vault_of

Standing: TypeAlias = Literal["clear", "sealed", "older", "unreadable"]
"""How a secret stands: in clear, sealed with the first key, with an older one, or with one that is not there."""
_COLUMNS: Final = (
    ("audit_key", "private"),
    ("signing_key", "private_jwk"),
    ("webhook", "secret"),
    ("webhook", "previous_secret"),
)
LOST: Final = b""
"""What stands in the place of a log's key that was lost: its heads still verify, and it signs no more."""


@dataclass(frozen=True)
class _Secret:
    table: Table
    column: str
    key: Any
    kept: bytes

    def put(self, connection: Connection, kept: bytes) -> None:
        """Write it in another form."""
        column, (key,) = self.table.c[self.column], self.table.primary_key.columns
        value = kept if self.table.name == "audit_key" else kept.decode()
        connection.execute(update(self.table).where(key == self.key).values({column: value}))

    def remove(self, connection: Connection) -> None:
        """Delete its row."""
        (key,) = self.table.primary_key.columns
        connection.execute(delete(self.table).where(key == self.key))


def standing(connection: Connection) -> Counter[Standing]:
    """How many secrets stand how. Raises KeyFileUnusable where some are sealed and there is no key."""
    vault = vault_of(connection)
    return Counter(_standing(each.kept, vault) for each in _all(connection))


def seal_all(engine: Engine) -> int:
    """Seal with the first key what stands in clear or is sealed with an older one; returns how many.

    Raises KeyFileUnusable, SecretsUnreadable; nothing is changed then.
    """
    with engine.begin() as connection:
        return seal_within(connection)


def seal_within(connection: Connection) -> int:
    """The same in a transaction."""
    vault = vault_of(connection)
    secrets = list(_all(connection, to_change=vault.file is not None))
    if vault.file is None and not any(is_sealed(each.kept) for each in secrets):
        return 0
    due = [each for each in secrets if _standing(each.kept, vault) != "sealed"]
    for each in due:
        each.put(connection, vault.seal(vault.open(each.kept)))
    return len(due)


def replace_lost(engine: Engine, *, new_webhook_secret: Callable[[], str]) -> int:
    """Replace what no key opens any more; returns how many.

    Keys that sign tokens are gone, and the next token makes one. The log's key signs no more, and the next head makes
    one. Webhooks get a secret that nobody knows: deliveries fail until their owners ask for a new one.
    """
    vault = vault_of(engine)
    with engine.begin() as connection:
        lost = [each for each in _all(connection, to_change=True) if _standing(each.kept, vault) == "unreadable"]
        for each in lost:
            if each.table.name == "signing_key":
                each.remove(connection)
            elif each.table.name == "audit_key":
                each.put(connection, LOST)
            else:
                each.put(connection, vault.seal(new_webhook_secret().encode()))
    return len(lost)


def _all(connection: Connection, *, to_change: bool = False) -> Iterator[_Secret]:
    """to_change : who replaces one meanwhile waits, and its new one is not lost."""
    there = set(inspect(connection).get_table_names())
    for name, column in _COLUMNS:
        table = metadata.tables[name]
        (key,) = table.primary_key.columns
        query = select(key, table.c[column]).order_by(key)
        query = query.with_for_update() if to_change else query
        for of, kept in connection.execute(query).all() if name in there else ():
            if kept:
                yield _Secret(table, column, of, kept if isinstance(kept, bytes) else kept.encode())


def _standing(kept: bytes, vault: Vault) -> Standing:
    if not is_sealed(kept):
        return "clear"
    if vault.is_of_first_key(kept):
        return "sealed"
    try:
        vault.open(kept)
    except SecretsUnreadable:
        return "unreadable"
    return "older"
