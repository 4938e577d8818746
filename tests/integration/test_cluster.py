"""Clearing on a Dask cluster with a real scheduler and real workers: the same results, many feeders at once."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from market.clearing import Options, clear
from market.clock import SimulatedClock
from market.errors import ClearingError, ClusterUnavailable
from market.repeating import repeated
from market.store import UnitOfWork
from market.workflow.cluster import clearing_on
from market.workflow.gatekeeping import watching_gates
from tests.integration.test_gates import GATE, opened, set_up
from tests.small_cases import case, curve, line, load
from tests.waiting import until

CAPACITY = {"id": "r", "dso": "d", "kind": "capacity", "element": "l1", "import_limit_w": 2e6}


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """A scheduler and two workers, each a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    quiet = ["--no-dashboard"]
    with contextlib.ExitStack() as stack:
        for command in (
            ["scheduler", "--host", "127.0.0.1", "--port", str(port), *quiet],
            ["worker", address, "--nworkers", "2", "--nthreads", "1", *quiet],
        ):
            process = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + command[0], *command[1:]],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
        until(lambda: _has_workers(address), within_s=60, what="two workers")
        yield address


def _has_workers(address: str) -> bool:
    try:
        with clearing_on(address, limit=timedelta(seconds=60)) as remote:
            remote(case(lines=[line("l1", "s", "far")], baseline=[load("far", 1e5)]), Options())
    except ClusterUnavailable:
        return False
    return True


def test_a_cluster_gives_the_same_result_and_the_same_refusal(scheduler: str) -> None:
    lines = [line("l1", "s", "far", r_ohm=0.0, x_ohm=0.001)]
    enough = case(
        lines=lines, baseline=[load("far", 2.5e6)], requests=[CAPACITY], offers=[curve("o", "far", (-900_000, 50.0))]
    )
    too_little = enough.model_copy(update={"offers": ()})
    with clearing_on(scheduler, limit=timedelta(seconds=60)) as remote:
        there, here = remote(enough, Options(pricing="pay_as_bid")), clear(enough, Options(pricing="pay_as_bid"))
        assert there.model_copy(update={"solver": here.solver}) == here
        with pytest.raises(ClearingError, match=r"500\.0 kW less consumption at far would meet it"):
            remote(too_little, Options())


def test_many_feeders_are_cleared_on_the_cluster(scheduler: str, migrated: Engine) -> None:
    set_up(migrated)
    auctions = [opened(migrated).id for _ in range(4)]

    class AtGate:
        def now(self):  # type: ignore[no-untyped-def]
            return GATE

    with (
        clearing_on(scheduler, limit=timedelta(seconds=60)) as remote,
        repeated(*watching_gates(remote, clock=SimulatedClock(GATE), engine=migrated, at_once=2)),
    ):
        until(lambda: states(migrated, auctions) == {"published"}, within_s=60, what="four published auctions")


def states(engine: Engine, auctions: list[str]) -> set[str]:
    with UnitOfWork(engine, reading=True) as work:
        return {work.auctions.get(each).state for each in auctions}


def test_a_scheduler_that_is_not_there_is_named() -> None:
    began = time.monotonic()
    refusal = r"tcp://127\.0\.0\.1:9 cannot clear: its scheduler does not answer"
    with pytest.raises(ClusterUnavailable, match=refusal), clearing_on("tcp://127.0.0.1:9", limit=None):
        pass
    assert time.monotonic() - began < 30
