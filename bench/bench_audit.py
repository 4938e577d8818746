"""The audit log: what leaves cost the one who writes, how fast the log is built, and how fast it is verified.

Offers of 96 periods, on SQLite with a sync at each commit. "Without" is the same session with nobody listening to its
flushes. Hashing the tree is the part of building that needs no database.
"""

import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Final

from sqlalchemy import Engine
from sqlmodel import Session

from api_spec.merkle import leaf_hash
from bench.measuring import Options, Row, best_of, progress, ratio
from market.audit.tree import Frontier
from market.store import migrate, open_engine
from market.store.tables import AuctionRow, NetworkRow, OfferRow, OrganisationRow
from market.store.witness import WitnessedSession
from market.workflow.auditing import build_log, verify_log

NOW: Final = datetime(2026, 1, 14, 12, tzinfo=UTC)
DOCUMENT: Final = '{"id":"off","bus":"far","kind":"curve","steps":[{"power_w":[' + ",".join(["-9000"] * 96) + "]}]}"
COMMITS: Final = 50
ALL: Final = 100_000


def run(options: Options) -> Iterator[Row]:
    for batch in (1, 32):
        progress(f"audit: offers in transactions of {batch}")
        yield _writing(batch)
    count = ALL // 10 if options.quick else ALL
    with tempfile.TemporaryDirectory() as folder:
        engine = _market(Path(folder))
        progress(f"audit: {count} offers")
        _insert(engine, WitnessedSession, first=0, count=count, batch=2_000)
        progress("audit: building")
        building = _seconds(lambda: _build(engine))
        hashing, _ = best_of(lambda: Frontier().extend(leaf_hash(b"%0200d" % each) for each in range(count)))
        progress("audit: verifying")
        verifying = _seconds(lambda: _verified(engine))
        engine.dispose()
    for what, seconds in (("building", building), ("hashing of it", hashing.seconds), ("verifying", verifying)):
        yield _row(f"{what}, {count} leaves", seconds, count)


def _writing(batch: int) -> Row:
    """Rounds of both in turn, so that a machine that others use too is the same to both; the best of each."""
    best: dict[type[Session], float] = {Session: float("inf"), WitnessedSession: float("inf")}
    with tempfile.TemporaryDirectory() as folder:
        engine = _market(Path(folder))
        first, count = 0, COMMITS * batch
        for kind in 15 * (Session, WitnessedSession):
            took = _seconds(partial(_insert, engine, kind, first=first, count=count, batch=batch))
            best[kind], first = min(best[kind], took), first + count
        engine.dispose()
    against = ratio(best[WitnessedSession], best[Session])
    return _row(
        f"offers, {batch} in a transaction",
        best[WitnessedSession],
        count,
        without=best[Session] / count,
        against=against,
    )


def _row(what: str, seconds: float, count: int, *, without: float | None = None, against: str = "") -> Row:
    return {
        "what": what,
        "us each": f"{seconds / count * 1e6:.0f}",
        "each without leaves": "" if without is None else f"{without * 1e6:.0f}",
        "with / without": against,
        "per second": f"{count / seconds:.0f}",
    }


def _market(folder: Path) -> Engine:
    engine = open_engine(f"sqlite:///{folder / 'market.db'}")
    migrate(engine)
    with WitnessedSession(engine) as session:
        session.add(OrganisationRow(id="o", name="o", role="dso", client_id="o", secret_hash="#", created_at=NOW))
        session.flush()
        session.add(NetworkRow(name="n", dso="o", document="{}", registered_at=NOW))
        session.flush()
        session.add(AuctionRow(id="a", dso="o", network="n", state="open", gate_closure=NOW, terms="{}"))
        session.commit()
    return engine


def _insert(engine: Engine, kind: type[Session], *, first: int, count: int, batch: int) -> None:
    for start in range(first, first + count, batch):
        with kind(engine) as session:
            session.add_all(
                OfferRow(
                    id=f"off_{each}",
                    version=1,
                    auction="a",
                    participant="o",
                    state="active",
                    document=DOCUMENT,
                    received_at=NOW,
                )
                for each in range(start, start + batch)
            )
            session.commit()


def _build(engine: Engine) -> None:
    while build_log(now=NOW, engine=engine) is not None:
        pass


def _verified(engine: Engine) -> None:
    assert verify_log(engine=engine).findings == ()


def _seconds(call: Callable[[], None]) -> float:
    started = perf_counter()
    call()
    return perf_counter() - started
