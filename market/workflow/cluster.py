"""Clearing on a Dask cluster: many feeders at once, on as many machines as there are workers."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from api_spec.case import Case
from api_spec.result import Result
from market.clearing.options import Options
from market.clearing.watched import Clearing, cleared_or_refused, result_of
from market.errors import ClusterUnavailable, SolverFailed

if TYPE_CHECKING:
    from distributed import Client

_ANSWERS_WITHIN_S: Final = 5.0


@contextlib.contextmanager
def clearing_on(address: str, *, limit: timedelta | None) -> Iterator[Clearing]:
    """Clear on the cluster whose scheduler listens at `address`, such as tcp://10.0.0.1:8786.

    limit : a clearing that is not back by then has failed. Raises ClusterUnavailable where `distributed` is not
    installed or the scheduler does not answer; a clearing does so, too, and its auction stays to be cleared.
    """
    with _connected(address) as client:

        def clear(case: Case, options: Options) -> Result:
            if not client.scheduler_info()["workers"]:
                raise ClusterUnavailable(address, "it has no workers")
            return _cleared(client, case, options, limit)

        yield clear


@contextlib.contextmanager
def _connected(address: str) -> Iterator["Client"]:
    try:
        from distributed import Client  # noqa: PLC0415  (an extra, and a second to load)
    except ImportError as failure:
        raise ClusterUnavailable(address, "install flexmarket[dask]") from failure
    try:
        client = Client(address, timeout=_ANSWERS_WITHIN_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except OSError as failure:
        raise ClusterUnavailable(address, "its scheduler does not answer") from failure
    with client:
        yield client


def _cleared(client: "Client", case: Case, options: Options, limit: timedelta | None) -> Result:
    # A clearing is the same wherever and however often it is done, so a worker that dies is replaced by another.
    future = client.submit(cleared_or_refused, case.model_dump_json(), options, pure=False)
    try:
        return result_of(future.result(timeout=None if limit is None else limit.total_seconds()))
    except TimeoutError as failure:
        raise SolverFailed(f"not back from the cluster after {limit}") from failure
    finally:
        future.cancel()  # type: ignore[no-untyped-call]
