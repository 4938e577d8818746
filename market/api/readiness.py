"""Whether the market can do its work: named checks, each of which answers within bounded time."""

import asyncio
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import anyio.to_thread
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from market.api.world import World
from market.logs import log
from market.store.inspection import schema_of

Check: TypeAlias = Callable[[], str | None]
"""What is wrong, in words that may be shown to anybody; None where all is well. May block."""

WITHIN_S: Final = 2.0
_THREADS: Final = 8


class Readiness:
    """The checks of one running market."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        """Begin with some; parts that are started later add theirs."""
        self._checks = dict(checks)
        # Threads of their own: a check that hangs takes none from the routes, and a few that hang start no more.
        self._threads = anyio.CapacityLimiter(_THREADS)

    def add(self, name: str, check: Check) -> None:
        """Ask this one, too."""
        self._checks[name] = check

    async def asked(self) -> dict[str, str | None]:
        """Every check's answer, after at most `WITHIN_S`."""
        answers = await asyncio.gather(*(self._answer(name, check) for name, check in self._checks.items()))
        return dict(zip(self._checks, answers, strict=True))

    async def _answer(self, name: str, check: Check) -> str | None:
        try:
            with anyio.fail_after(WITHIN_S):
                return await anyio.to_thread.run_sync(check, abandon_on_cancel=True, limiter=self._threads)
        except TimeoutError:
            return f"no answer within {WITHIN_S:g} s"
        except Exception as failure:
            log.error("check failed", check=name, error=type(failure).__name__, exc_info=failure)
            return "the check itself failed; it has been logged"


def checks_of(world: World) -> dict[str, Check]:
    """What every market needs: its database, in the version this program knows, and room to write."""
    checks: dict[str, Check] = {"database": lambda: _database(world.engine)}
    if world.engine.dialect.name == "sqlite" and world.engine.url.database:
        folder, reserve = Path(world.engine.url.database).absolute().parent, world.settings.disk_reserve_bytes
        checks["disk"] = lambda: _disk(folder, reserve)
    return checks


def _database(engine: Engine) -> str | None:
    try:
        schema = schema_of(engine)
    except SQLAlchemyError:
        return "does not answer"
    if schema.fits:
        return None
    return f"its schema is at {schema.current or 'nothing'}, this program needs {schema.newest}"


def _disk(folder: Path, reserve: int) -> str | None:
    free = shutil.disk_usage(folder).free
    return None if free >= reserve else f"{free // 1_000_000} MB are free, {reserve // 1_000_000} MB are needed"
