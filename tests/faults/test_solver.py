"""What a solver can do to a market: its auction fails with a named reason, nothing of it is published, others go on."""

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Engine

from api_spec.case import Case
from api_spec.result import Result
from market.clearing import Options, clear
from market.clearing.watched import Clearing, clear_within
from market.errors import ResultRefused, SolverFailed
from market.store import UnitOfWork
from market.workflow import ordering
from market.workflow.clearing import Worker, clear_next
from tests.faults.test_kills import standing
from tests.hanging_clearing import hang
from tests.integration.test_continuous import REQUEST
from tests.integration.test_gates import GATE, NOON, set_up
from tests.unit.market.clearing.test_watched import dies


def out_of_time(case: Case, options: Options) -> Result:
    raise SolverFailed("maxTimeLimit")


def numerically_lost(case: Case, options: Options) -> Result:
    """A result that the check before publication does not accept."""
    raise ResultRefused("the power flow is 3 W off at far")


FAULTY: dict[str, tuple[Clearing, str]] = {
    "out of time": (out_of_time, "ended without an optimum: maxTimeLimit"),
    "numerically lost": (numerically_lost, "does not stand its check: the power flow is 3 W off at far"),
    "hung": (partial(clear_within, limit=timedelta(seconds=1), clear=hang), "hung: stopped after 1 s"),
    "dead": (partial(clear_within, limit=timedelta(minutes=2), clear=dies), "died with exit code 7"),
}


@pytest.fixture
def engine(migrated: Engine) -> Engine:
    set_up(migrated)
    return migrated


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_solver_fails_its_auction_and_no_other(engine: Engine, fault: str) -> None:
    faulty, reason = FAULTY[fault]
    bad, good = standing(engine), standing(engine)
    worker = Worker.new(lambda case, options: (faulty if case.name == bad else clear)(case, options))

    states = {done.id: done for _ in range(2) if (done := clear_next(worker, now=GATE, engine=engine)) is not None}
    assert clear_next(worker, now=GATE, engine=engine) is None, "nothing is tried for ever"
    assert (states[bad].state, states[good].state) == ("failed", "published")
    assert reason in (states[bad].failure or "")
    assert_nothing_published(engine, bad)


def test_what_is_infeasible_is_explained(engine: Engine) -> None:
    """1 W may flow at any price, 18.5 kW will; three offers of 1 kW leave 15.5 too much."""
    auction = standing(engine)
    with UnitOfWork(engine) as work:
        impossible = REQUEST.validate_python({"kind": "capacity", "element": "l1", "import_limit_w": 1})
        ordering.submit_request(auction, impossible, dso="dso", now=NOON, work=work)
        work.commit()

    done = clear_next(Worker.new(clear), now=GATE, engine=engine)
    assert done is not None and done.state == "failed"
    assert "15.5 kW less consumption at far would meet it" in (done.failure or "")
    assert_nothing_published(engine, auction)


def assert_nothing_published(engine: Engine, auction: str) -> None:
    with UnitOfWork(engine, reading=True) as work:
        assert work.auctions.published(auction) is None
        assert list(work.auctions.awards(auction)) == []
        assert list(work.money.transfers(auction)) == []
