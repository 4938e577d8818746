"""The audit log: what leaves cost the one who writes, how fast the log is built, and how fast it is verified.

Offers of 96 periods, on SQLite with a sync at each commit. "Without" is the same session with nobody listening to its
flushes, in turns with it; the best of each. CPU is this process's own time, which others on the machine do not change.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

from sqlalchemy import Engine
from sqlmodel import Session

from bench.measuring import Options, Row, progress, ratio
from market.store import migrate, open_engine
from market.store.tables import AuctionRow, NetworkRow, OfferRow, OrganisationRow
from market.store.witness import WitnessedSession
from market.workflow.auditing import build_log, verify_log

NOW: Final = datetime(2026, 1, 14, 12, tzinfo=UTC)
DOCUMENT: Final = '{"id":"off","bus":"far","kind":"curve","steps":[{"power_w":[' + ",".join(["-9000"] * 96) + "]}]}"
COMMITS, ROUNDS = 50, 15
ALL: Final = 100_000


@dataclass(frozen=True)
class Took:
    """wall_s, cpu_s : time that passed, and that of it which this process worked."""

    wall_s: float
    cpu_s: float

    def per_item(self, count: int) -> tuple[str, str]:
        """Wall and CPU time of one of `count` items [us]."""
        return f"{self.wall_s / count * 1e6:.0f}", f"{self.cpu_s / count * 1e6:.0f}"


def run(options: Options) -> Iterator[Row]:
    for batch in (1, 32):
        progress(f"audit: offers in transactions of {batch}")
        yield from _writing(batch)
    count = ALL // 10 if options.quick else ALL
    with tempfile.TemporaryDirectory() as folder:
        engine = _market(Path(folder))
        progress(f"audit: {count} offers")
        _insert(engine, WitnessedSession, first=0, count=count, batch=2_000)
        progress("audit: building")
        yield _row(f"building {count} leaves", _took(partial(_build, engine)), count)
        progress("audit: verifying")
        yield _row(f"verifying {count} rows", _took(partial(_verified, engine)), count)
        engine.dispose()


def _writing(batch: int) -> Iterator[Row]:
    taken: dict[type[Session], list[Took]] = {Session: [], WitnessedSession: []}
    with tempfile.TemporaryDirectory() as folder:
        engine = _market(Path(folder))
        first, count = 0, COMMITS * batch
        for kind in ROUNDS * (Session, WitnessedSession):
            taken[kind].append(_took(partial(_insert, engine, kind, first=first, count=count, batch=batch)))
            first += count
        engine.dispose()
    without, witnessed = (
        Took(min(each.wall_s for each in rounds), min(each.cpu_s for each in rounds)) for rounds in taken.values()
    )
    yield _row(f"offers, {batch} in a transaction, without leaves", without, count)
    yield _row(f"offers, {batch} in a transaction", witnessed, count, anchor=without)


def _row(what: str, took: Took, count: int, *, anchor: Took | None = None) -> Row:
    wall, cpu = took.per_item(count)
    return {
        "what": what,
        "us each": wall,
        "of it CPU": cpu,
        "with / without": "" if anchor is None else ratio(took.wall_s, anchor.wall_s),
        "with / without, CPU": "" if anchor is None else ratio(took.cpu_s, anchor.cpu_s),
    }


def _market(folder: Path) -> Engine:
    engine = open_engine(f"sqlite:///{folder / 'market.db'}")
    migrate(engine)
    with WitnessedSession(engine) as session:
        session.add(OrganisationRow(id="o", name="o", role="dso", created_at=NOW))
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


def _took(call: Callable[[], None]) -> Took:
    wall, cpu = perf_counter(), process_time()
    call()
    return Took(perf_counter() - wall, process_time() - cpu)
