"""The sender of webhooks: claims what is due, calls, keeps what came of it. Any number of them may run at once."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import Engine
from standardwebhooks import Webhook

from api_spec.webhooks import Attempt
from market.clock import Clock
from market.notices.retries import next_attempt
from market.push.calling import Caller, NotDelivered
from market.store import UnitOfWork
from market.store.notices import Claimed

log = structlog.get_logger()

MOST_AT_ONCE: Final = 100
LEASE: Final = timedelta(minutes=2)
"""Longer than a call and two transactions may take; after a crash, another sender goes on when it has passed."""
_GONE: Final = 410


class Sender:
    """Sends what is due: to one webhook one after the other, to different ones side by side."""

    def __init__(self, engine: Engine, clock: Clock, caller: Caller, *, most_at_once: int = MOST_AT_ONCE) -> None:
        """Nothing is sent yet. most_at_once : calls."""
        self._engine, self._clock, self._caller, self._most = engine, clock, caller, most_at_once
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self, *, every_s: float = 0.5) -> None:
        """Send until cancelled; looks for what is due whenever a call ends, and every so often.

        A call that is under way when it is cancelled is cut off, and made again by whoever comes next.
        """
        try:
            while True:
                try:
                    await self.start_due()
                except Exception as failure:  # the database may be away for a while; what is queued stays queued
                    log.error("interrupted", what="looking for due deliveries", error=type(failure).__name__)
                if self._calls:
                    await asyncio.wait(self._calls, timeout=every_s, return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.sleep(every_s)
        finally:
            for call in self._calls:
                call.cancel()
            await asyncio.gather(*self._calls, return_exceptions=True)

    async def settle(self) -> None:
        """Send until nothing is due any more."""
        while await self.start_due() or self._calls:
            await asyncio.wait(self._calls, return_when=asyncio.FIRST_COMPLETED)

    async def start_due(self) -> int:
        """Claim what is due, as far as there is room, and start sending it; returns how much that is."""
        room = self._most - len(self._calls)
        claimed = await asyncio.to_thread(self._claim, room) if room else []
        for each in claimed:
            call = asyncio.create_task(self._deliver(each), name=f"webhook {each.event}")
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        return len(claimed)

    async def _deliver(self, claimed: Claimed) -> None:
        try:
            at = await asyncio.to_thread(self._clock.now)
            attempt = await self._attempt(claimed, at)
            await asyncio.to_thread(self._record, claimed, attempt)
        except Exception as failure:  # its lease ends, and it is sent again; the others go on meanwhile
            log.error("interrupted", what=f"sending {claimed.event}", error=type(failure).__name__, exc_info=failure)

    async def _attempt(self, claimed: Claimed, at: datetime) -> Attempt:
        headers = signed_headers(claimed, at)
        try:
            status = await self._caller.post(claimed.url, body=claimed.body.encode(), headers=headers)
        except NotDelivered as failure:
            return Attempt(at=at, failure=str(failure))
        return Attempt(at=at, status=status, failure=_failure(status))

    def _claim(self, room: int) -> list[Claimed]:
        now = self._clock.now()
        with UnitOfWork(self._engine) as work:
            claimed = work.notices.claim(now=now, until=now + LEASE, most=room)
            if claimed:
                work.commit()
        return claimed

    def _record(self, claimed: Claimed, attempt: Attempt) -> None:
        next_at = next_attempt(claimed.failed + 1, now=self._clock.now(), luck=random.random())
        with UnitOfWork(self._engine) as work:
            work.notices.record(claimed, attempt, next_at=next_at, gone=attempt.status == _GONE)
            work.commit()


@contextlib.asynccontextmanager
async def sending(*, engine: Engine, clock: Clock, allow_private: bool) -> AsyncIterator[None]:
    """Send while the block runs. allow_private : also to addresses of this network and without TLS."""
    async with Caller(allow_private=allow_private) as caller:
        running = asyncio.create_task(Sender(engine, clock, caller).run(), name="webhooks")
        try:
            yield
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


def signed_headers(claimed: Claimed, at: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0, with one signature for each secret in force."""
    signatures = [Webhook(secret).sign(claimed.event, at, claimed.body) for secret in claimed.secrets]
    return {
        "webhook-id": claimed.event,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _failure(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return "redirects are not followed"
    return "gone" if status == _GONE else "not a 2xx answer"
