"""Calls on a Dask cluster, on as many machines as it has workers."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from market.errors import FlexmarketError
from market.simulation.sweep.executors import Answer, Failure, R, T, answered
from market.simulation.versions import versions

if TYPE_CHECKING:
    from distributed import Client

_ANSWERS_WITHIN_S: Final = 5.0


class ClusterOutOfReach(FlexmarketError):
    """The cluster that is to run something cannot."""

    def __init__(self, address: str, reason: str) -> None:
        """Say where and why."""
        super().__init__(f"the cluster at {address} cannot be used: {reason}")
        self.address, self.reason = address, reason


@contextlib.contextmanager
def on_dask(address: str) -> Iterator["OnDask"]:
    """Run on the cluster whose scheduler listens at `address`, such as tcp://10.0.0.1:8786.

    Raises ClusterOutOfReach where `distributed` is not installed, the scheduler does not answer, there are no workers,
    or one of them has other versions than this machine: it could give other results.
    """
    try:
        from distributed import Client  # noqa: PLC0415  (an extra, and a second to load)
    except ImportError as failure:
        raise ClusterOutOfReach(address, "install flexmarket[dask]") from failure
    try:
        client = Client(address, timeout=_ANSWERS_WITHIN_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except OSError as failure:
        raise ClusterOutOfReach(address, "its scheduler does not answer") from failure
    with client:
        there = client.nthreads()  # type: ignore[no-untyped-call]
        if not there:
            raise ClusterOutOfReach(address, "it has no workers")
        _refuse_others(address, _versions_there(client, address))
        yield OnDask(client, len(there))


@dataclass(frozen=True)
class OnDask:
    """Calls as tasks of a cluster. The scheduler makes those of a worker that is lost again on another.

    workers : processes; their threads do not count, since a call has its process for itself.
    """

    client: "Client"
    workers: int

    def answers(self, call: Callable[[T], R], tasks: Sequence[T]) -> Iterator[Answer[R]]:
        """As they come."""
        from distributed import as_completed  # noqa: PLC0415

        numbers = {
            self.client.submit(answered, call, number, task, pure=False): number for number, task in enumerate(tasks)
        }
        try:
            for future in as_completed(numbers, loop=self.client.loop):  # type: ignore[no-untyped-call]
                error = future.exception()
                yield _lost(numbers[future], error) if error else future.result()
                future.release()
        finally:
            self.client.cancel(list(numbers))  # type: ignore[no-untyped-call]


def _lost(number: int, error: Exception) -> Answer[Any]:
    """The answer to a call that the cluster itself could not make."""
    return Answer(number, None, Failure(type(error).__name__, str(error)), 0.0)


def _versions_there(client: "Client", address: str) -> Mapping[str, Mapping[str, str]]:
    try:
        found: Mapping[str, Mapping[str, str]] = client.run(versions)
    except ImportError as failure:
        raise ClusterOutOfReach(address, f"flexmarket is not installed at its workers ({failure})") from failure
    return found


def _refuse_others(address: str, found: Mapping[str, Mapping[str, str]]) -> None:
    ours = versions()
    for worker, theirs in found.items():
        other = [f"{name} {theirs.get(name)} (here {ours[name]})" for name in ours if theirs.get(name) != ours[name]]
        if other:
            raise ClusterOutOfReach(address, f"worker {worker} has {', '.join(other)}")
