"""How things are measured: best times, sizes to choose, and the machine and versions that figures stand for."""

import gc
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from api_spec.case import Case
from bench.markets import LOCAL, Stress, market
from bench.networks.sizes import network_of

T = TypeVar("T")
Row: TypeAlias = dict[str, str]
"""One line of a table; every row of a measurement has the same names."""

PARTS: Final = ("highspy", "numpy", "power-grid-model", "pydantic", "pyomo", "scipy")


@dataclass(frozen=True)
class Options:
    """What to measure.

    quick : leave out what takes most of a minute. sizes : pairs of buses and offers; absent = all. stress : how much
    the markets ask of their offers.
    """

    quick: bool = False
    sizes: frozenset[tuple[int, int]] | None = None
    stress: Stress = LOCAL

    def chosen(self, sizes: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Those of `sizes` that were asked for, in their order."""
        return [size for size in sizes if self.sizes is None or size in self.sizes]

    def case(self, buses: int, offers: int) -> Case:
        """The market of a size."""
        return market(network_of(buses), offers, stress=self.stress)


@dataclass(frozen=True)
class Timed:
    """seconds : the best of `repeats` runs."""

    seconds: float
    repeats: int

    def __str__(self) -> str:
        return f"{self.seconds:.3g}" if self.seconds < 100 else f"{self.seconds:.0f}"


def best_of(call: Callable[[], T], *, budget_s: float = 6.0, most: int = 7) -> tuple[Timed, T]:
    """Run once, and again while that fits into `budget_s` seconds; the best time and what the last run returned.

    Garbage is collected beforehand, so that no run pays for what another left.
    """
    best, spent, runs = float("inf"), 0.0, 0
    while True:
        gc.collect()
        started = time.perf_counter()
        value = call()
        took = time.perf_counter() - started
        best, spent, runs = min(best, took), spent + took, runs + 1
        if runs == most or spent + took > budget_s:
            return Timed(best, runs), value


def ratio(ours: float, anchor: float) -> str:
    """One time relative to another."""
    return f"{ours / anchor:.2f}"


def setting() -> dict[str, str]:
    """Machine and versions."""
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB, {platform.system()}",
        "python": platform.python_version(),
        **{part: version(part) for part in PARTS},
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def progress(text: str) -> None:
    """Say what is being measured, beside the tables."""
    print(text, file=sys.stderr, flush=True)
