"""No row changes without exactly one leaf in the same transaction."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select, update

import market.store
from api_spec.merkle import commitment
from market.audit.leaves import NOTHING
from market.store import UnitOfWork, migrate, open_engine
from market.store.tables import AuditLeafRow, NetworkRow, OrganisationRow, metadata
from market.store.witness import EXEMPT, NotWitnessed, WitnessedSession
from market.workflow.auditing import build_log, verify_log

NOW = datetime(2026, 1, 14, 12, tzinfo=UTC)
WITNESSED = {
    "acknowledgement",
    "auction",
    "availability",
    "award",
    "baseline",
    "bill",
    "bill_correction",
    "bill_transfer",
    "calendar",
    "client",
    "contract",
    "contract_right",
    "contract_transfer",
    "critical_window",
    "dispute",
    "meter_reading",
    "network",
    "obligation",
    "offer",
    "organisation",
    "prequalification",
    "product",
    "quality",
    "reading",
    "reference_load",
    "request",
    "reservation",
    "resource",
    "result",
    "settlement",
    "settlement_baseline",
    "statement",
    "statement_acceptance",
    "tariff",
    "transfer",
}


@pytest.fixture
def engine(migrated: Engine) -> Engine:
    """A new database, once of each kind."""
    return migrated


def organisation(name: str) -> OrganisationRow:
    return OrganisationRow(id=name, name=name, role="dso", created_at=NOW)


def leaves(engine: Engine) -> list[tuple[str, str, int, str]]:
    with WitnessedSession(engine) as session:
        rows = session.exec(select(AuditLeafRow).order_by(col(AuditLeafRow.sequence)))
        return [(row.table_name, row.row_key, row.change, row.kind) for row in rows]


def test_whether_a_table_is_witnessed_has_been_decided_for_each() -> None:
    """A new table is witnessed unless it is exempt; say here or there which it is to be."""
    assert set(metadata.tables) - EXEMPT == WITNESSED
    assert set(metadata.tables) >= EXEMPT


def test_insert_change_and_deletion_leave_one_leaf_each(engine: Engine) -> None:
    with WitnessedSession(engine, expire_on_commit=False) as session:
        row = organisation("o")
        session.add(row)
        session.commit()
        row.name = "new name"
        session.commit()
        row.name = "new name"
        session.commit()
        session.delete(row)
        session.commit()
    assert leaves(engine) == [
        ("organisation", '["o"]', 1, "insert"),
        ("organisation", '["o"]', 2, "update"),
        ("organisation", '["o"]', 3, "delete"),
    ]


def test_a_leaf_commits_to_the_row_in_its_canonical_form(engine: Engine) -> None:
    with WitnessedSession(engine) as session:
        session.add(organisation("o"))
        session.commit()
        leaf = session.exec(select(AuditLeafRow)).one()
    values = b'{"created_at":"2026-01-14T12:00:00.000000+00:00","id":"o","name":"o","role":"dso"}'
    assert leaf.salt is not None and len(leaf.salt) == 32
    assert leaf.commitment == commitment(leaf.salt, values)


def test_a_salt_is_forgotten_with_the_state_that_it_opened(engine: Engine) -> None:
    with WitnessedSession(engine, expire_on_commit=False) as session:
        row = organisation("o")
        session.add(row)
        session.commit()
        session.delete(row)
        session.commit()
        first, last = session.exec(select(AuditLeafRow).order_by(col(AuditLeafRow.sequence)))
    assert first.salt is None and last.salt is not None
    assert last.commitment == commitment(last.salt, NOTHING)


def test_an_erased_row_leaves_a_log_that_holds(engine: Engine) -> None:
    """A person's row is built into the log, then erased; the head that was signed before still holds."""
    with WitnessedSession(engine, expire_on_commit=False) as session:
        row = organisation("Ms Jensen")
        session.add_all([row, organisation("other")])
        session.commit()
        before = build_log(now=NOW, engine=engine)
        session.delete(row)
        session.commit()
    build_log(now=NOW, engine=engine)

    found = verify_log(engine=engine, saved=before)

    assert (found.findings, found.rows, found.leaves, found.erased) == ((), 1, 3, 1)


def test_a_name_that_is_taken_again_goes_on_counting(engine: Engine) -> None:
    with WitnessedSession(engine) as session:
        for _ in range(2):
            row = organisation("o")
            session.add(row)
            session.commit()
            session.delete(row)
            session.commit()
    assert [change for *_, change, _ in leaves(engine)] == [1, 2, 3, 4]
    assert verify_log(engine=engine).findings == ()


def test_many_rows_at_once_leave_a_leaf_each(engine: Engine) -> None:
    with WitnessedSession(engine) as session:
        session.add_all([organisation(f"o{each}") for each in range(1200)])
        session.commit()
    found = leaves(engine)
    assert [key for _, key, _, _ in found] == [f'["o{each}"]' for each in range(1200)]
    assert verify_log(engine=engine).findings == ()


def test_what_is_rolled_back_leaves_nothing_also_to_a_savepoint(engine: Engine) -> None:
    with WitnessedSession(engine) as session:
        session.add(organisation("kept"))
        savepoint = session.begin_nested()
        session.add(organisation("dropped"))
        session.flush()
        savepoint.rollback()
        session.commit()
        session.add(organisation("dropped later"))
        session.flush()
    assert leaves(engine) == [("organisation", '["kept"]', 1, "insert")]


def test_a_leaf_that_cannot_be_written_takes_its_row_with_it(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("the trigger is written for SQLite")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON audit_leaf BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    with WitnessedSession(engine) as session:
        session.add(organisation("o"))
        with pytest.raises(IntegrityError, match="disk full"):
            session.commit()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM organisation").scalar() == 0


def test_statements_that_pass_by_the_flush_are_refused(engine: Engine) -> None:
    values = organisation("o").model_dump()
    with WitnessedSession(engine) as session:
        for statement in (
            insert(OrganisationRow).values(values),
            update(OrganisationRow).values(name="x"),
            insert(metadata.tables["network"]).values(name="n"),
        ):
            with pytest.raises(NotWitnessed, match="change through the session's objects only"):
                session.execute(statement)


def test_a_leaf_whose_transaction_commits_late_is_not_skipped(postgres_url: str) -> None:
    """The first transaction has the smaller number and commits after the log was built without it."""
    engine = open_engine(postgres_url)
    migrate(engine)
    with WitnessedSession(engine) as late, WitnessedSession(engine) as early:
        late.add(organisation("late"))
        late.flush()
        early.add(organisation("early"))
        early.commit()
        first = build_log(now=NOW, engine=engine)
        late.commit()
    second = build_log(now=NOW, engine=engine)

    assert first is not None and second is not None
    assert (first.size, second.size) == (1, 2)
    found = verify_log(engine=engine, saved=first)
    assert (found.findings, found.leaves, found.waiting) == ((), 2, 0)
    engine.dispose()


def test_the_unit_of_work_witnesses(engine: Engine) -> None:
    with UnitOfWork(engine) as work:
        assert isinstance(work._session, WitnessedSession)


def test_rows_from_before_the_log_get_their_first_leaf_when_it_is_introduced(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'market.db'}")
    config = Config()
    config.set_main_option("script_location", str(Path(market.store.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0009")
        organisations = organisation("o").model_dump()
        connection.execute(insert(OrganisationRow), [organisations])
        network = NetworkRow(name="n", dso="o", document="{}", registered_at=NOW).model_dump()
        connection.execute(insert(NetworkRow), [network])

    migrate(engine)

    assert sorted(leaves(engine)) == [("network", '["n"]', 1, "insert"), ("organisation", '["o"]', 1, "insert")]
    assert verify_log(engine=engine).findings == ()
    engine.dispose()


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "change", "leave", "drop"]), st.sampled_from("abc"), st.booleans()), max_size=12
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, lots=st.lists(st.integers(1, 4), max_size=4))
def test_whatever_happens_each_committed_change_has_one_leaf(
    steps: list[tuple[str, str, bool]], lots: list[int], engine: Engine
) -> None:
    """Transactions of one step each, some rolled back, over three names that may come and go; built in in any lots."""
    before = len(leaves(engine))
    with WitnessedSession(engine) as session:
        rows = session.exec(select(OrganisationRow)).all()
        for row in rows:
            session.delete(row)
        session.commit()
    changes = len(rows)
    there: set[str] = set()
    for what, name, kept in steps:
        with WitnessedSession(engine) as session:
            held = session.get(OrganisationRow, name)
            if held is None and what == "put":
                session.add(organisation(name))
            elif held is not None and what == "drop":
                session.delete(held)
            elif held is not None and what == "change":
                held.name += "x"
            elif held is not None and what == "leave":
                held.name = str(held.name)
            done = what in (("drop", "change") if name in there else ("put",))
            session.flush()
            if kept:
                session.commit()
                changes += done
                there = there | {name} if what == "put" else there - {name} if what == "drop" else there

    for most in lots:
        build_log(now=NOW, engine=engine, most=most)

    found = verify_log(engine=engine)
    assert len(leaves(engine)) == before + changes
    assert (found.findings, found.rows) == ((), len(there))
