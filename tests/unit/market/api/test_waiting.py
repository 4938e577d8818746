"""Steps that may wait run in threads, unless whoever asks is alone."""

import threading

from market.api.waiting import ALONE, waiting


@waiting
def thread() -> str:
    return threading.current_thread().name


async def test_a_step_runs_in_another_thread_so_that_others_are_answered() -> None:
    assert await thread() != threading.current_thread().name


async def test_for_one_who_is_alone_it_runs_at_once() -> None:
    before = ALONE.set(True)
    try:
        assert await thread() == threading.current_thread().name
    finally:
        ALONE.reset(before)
