"""Several processes over one database: real servers and workers, and what happens when one is killed."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Engine

from market.store import UnitOfWork, migrate, open_engine
from tests.integration.test_gates import opened, set_up
from tests.waiting import until

FLEXMARKET = str(Path(sys.executable).with_name("flexmarket"))


@contextlib.contextmanager
def process(*command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process of the market, ended with the block."""
    running = subprocess.Popen(
        command,
        env={**os.environ, **{f"FLEXMARKET_{name}": value for name, value in environment.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGTERM)
        running.communicate(timeout=30)


def served_at(server: subprocess.Popen[str]) -> str:
    """Where a server says that it listens."""
    assert server.stdout is not None
    line = server.stdout.readline()
    found = re.search(r"http://[0-9.]+:\d+", line)
    assert found, line
    return found[0]


def test_sqlite_refuses_a_second_worker_and_says_what_to_do(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'market.db'}"
    with process(FLEXMARKET, "serve", DATABASE_URL=url, PORT="0") as first:
        served_at(first)
        for command in ("serve", "work"):
            with process(FLEXMARKET, command, DATABASE_URL=url, PORT="0") as second:
                _, told = second.communicate(timeout=30)
            assert second.returncode == 1
            assert "is served by another process" in told
            assert "FLEXMARKET_DATABASE_URL=postgresql://" in told
        first.send_signal(signal.SIGKILL)
        first.wait()
        with process(FLEXMARKET, "serve", DATABASE_URL=url, PORT="0") as third:
            assert served_at(third), "a killed process holds nothing"


def test_workers_beside_each_other_clear_everything_once(postgres_url: str) -> None:
    """Two clearing workers and no server; five auctions whose gates have closed long ago."""
    engine = open_engine(postgres_url)
    try:
        migrate(engine)
        set_up(engine)
        auctions = [opened(engine).id for _ in range(5)]
        worker = {"DATABASE_URL": postgres_url, "CLEARINGS_AT_ONCE": "2"}
        with process(FLEXMARKET, "work", **worker), process(FLEXMARKET, "work", **worker):
            until(lambda: versions(engine, auctions) == [1] * 5, within_s=90, what="five published auctions")
    finally:
        engine.dispose()


def versions(engine: Engine, auctions: list[str]) -> list[int | None]:
    """Version of each published result; None where there is none."""
    with UnitOfWork(engine, reading=True) as work:
        outcomes = [work.auctions.published(each) for each in auctions]
    return [None if each is None else each.version for each in outcomes]


def test_an_unreachable_cluster_is_told_at_the_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'market.db'}"
    with process(FLEXMARKET, "serve", DATABASE_URL=url, PORT="0", CLUSTER="tcp://127.0.0.1:9") as server:
        _, told = server.communicate(timeout=60)
    assert server.returncode == 1
    assert "the cluster at tcp://127.0.0.1:9 cannot clear: its scheduler does not answer" in told
