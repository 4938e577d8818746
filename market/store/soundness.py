"""What must hold in every market's database, asked in SQL that older schemas answer, too."""

import hashlib
from dataclasses import dataclass

from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text


@dataclass(frozen=True)
class Contents:
    """What a database holds at one instant.

    revision : of its schema; None where it has none. rows : of every table. defects : what is wrong, one sentence each.
    """

    revision: str | None
    rows: dict[str, int]
    defects: tuple[str, ...]


def contents(connection: Connection) -> Contents:
    """What a market's database holds, and whether it is sound, as one transaction sees it.

    Asked are: its pages and indices (SQLite), references between rows, that the ledger is double entry and reservations
    of settled auctions are undone, and that every published result answers the case it stands with.
    """
    revision = MigrationContext.configure(connection).get_current_revision()
    rows = {
        table: connection.exec_driver_sql(f'SELECT count(*) FROM "{table}"').scalar_one()
        for table in sorted(inspect(connection).get_table_names())
    }
    if revision is None:
        return Contents(None, rows, ("it is not a market's database: it has no schema version",))
    return Contents(revision, rows, (*_physical(connection), *_ledger(connection), *_results(connection)))


def _physical(connection: Connection) -> list[str]:
    """PostgreSQL has no such question: it checks references and pages by itself when they are written and read."""
    if connection.dialect.name != "sqlite":
        return []
    damage = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check(20)") if row[0] != "ok"]
    dangling = [
        f"a row of {table} refers to a {parent} that is not there"
        for table, _, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check")
    ]
    return [*damage, *dangling[:20]]


def _ledger(connection: Connection) -> list[str]:
    """Per auction, over all accounts, the ledger sums to zero; amounts are whole numbers of 1e-4 EUR."""
    entries = """
        SELECT auction, stage, credit AS account, amount_eur AS amount FROM transfer
        UNION ALL SELECT auction, stage, debit, -amount_eur FROM transfer
    """
    sums = f"SELECT auction, sum(amount) FROM ({entries}) AS entry GROUP BY auction HAVING sum(amount) <> 0"
    # Accounts that still stand to receive something: what was reserved for them was not given back.
    kept = f"""
        SELECT auction, sum(amount) FROM (
            SELECT auction, account, sum(amount) AS amount FROM ({entries}) AS entry
            WHERE stage IN ('pending', 'voided') GROUP BY auction, account
        ) AS reserved JOIN auction ON auction.id = reserved.auction
        WHERE auction.state = 'settled' AND amount > 0 GROUP BY auction
    """
    return [
        *(f"the ledger of {auction} sums to {amount}e-4 EUR" for auction, amount in connection.execute(text(sums))),
        *(
            f"{auction} is settled, and {amount}e-4 EUR are still reserved for it"
            for auction, amount in connection.execute(text(kept))
        ),
    ]


def _results(connection: Connection) -> list[str]:
    rows = connection.execution_options(yield_per=10).execute(
        text("SELECT auction, version, case_document, input_sha256 FROM result")
    )
    return [
        f"result {version} of {auction} does not answer the case that stands with it"
        for auction, version, case, sha256 in rows
        if hashlib.sha256(case.encode()).hexdigest() != sha256
    ]
