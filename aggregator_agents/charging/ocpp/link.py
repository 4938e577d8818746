"""One connection with a station: calls in both directions, one at a time in each, as OCPP-J has it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol
from uuid import uuid4

from websockets.exceptions import ConnectionClosed

from aggregator_agents.charging.hardware import HardwareSilent
from aggregator_agents.charging.ocpp.dialect import Request
from aggregator_agents.charging.ocpp.frames import BadFrame, Call, Error, Payload, Result, Version, check, parse

LOG: Final = logging.getLogger(__name__)
_WAITING: Final = 64  # calls of a station that are not answered yet; what comes then is left in its socket


class Refused(HardwareSilent):
    """The station answered with an error; what was asked counts as not done."""


class Unanswered(HardwareSilent):
    """The station did not answer in time: what was asked may be done, or may not."""


class Socket(Protocol):
    """A websocket with frames of text."""

    async def send(self, message: str) -> None:
        """One frame; ConnectionClosed."""
        ...

    async def recv(self) -> str | bytes:
        """The next frame; ConnectionClosed."""
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say good-bye."""
        ...


class Link:
    """Calls over one socket. answer : of a call by the station, in the order in which they came; raises BadFrame."""

    def __init__(
        self,
        station: str,
        socket: Socket,
        version: Version,
        answer: Callable[[Call], Awaitable[Payload]],
        *,
        timeout_s: float,
    ) -> None:
        """Over an open socket; nothing is read before `run`."""
        self.station, self.version = station, version
        self._socket, self._answer, self._timeout_s = socket, answer, timeout_s
        self._turn = asyncio.Lock()
        self._pending: dict[str, asyncio.Future[Result | Error]] = {}
        self._calls: asyncio.Queue[Call] = asyncio.Queue(_WAITING)

    async def run(self) -> None:
        """Until the connection is closed."""
        worker = asyncio.create_task(self._work())
        try:
            while True:
                await self._take(await self._socket.recv())
        except ConnectionClosed as closed:
            LOG.info("%s: connection closed (%s)", self.station, closed)
        finally:
            worker.cancel()
            for each in self._pending.values():
                each.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    async def call(self, request: Request) -> Payload:
        """Ask the station. Raises Refused, Unanswered."""
        async with self._turn:
            call = Call(str(uuid4()), request.action, request.payload)
            answered = self._pending[call.id] = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._socket.send(call.text())
                    answer = await _not_closed(answered)
            except (TimeoutError, ConnectionClosed) as failure:
                raise Unanswered(f"{self.station} did not answer {request.action}") from failure
            finally:
                del self._pending[call.id]
        if isinstance(answer, Error):
            raise Refused(f"{self.station} answered {request.action} with {answer.code}: {answer.description}")
        try:
            check(answer.payload, request.action, self.version, id=answer.id, answer=True)
        except BadFrame as failure:
            raise Refused(f"{self.station} answered {request.action} with {failure}") from failure
        return answer.payload

    async def close(self, reason: str) -> None:
        """Say good-bye to the station."""
        await self._socket.close(1000, reason)

    async def _take(self, text: str | bytes) -> None:
        try:
            frame = parse(text, self.version)
        except BadFrame as failure:
            LOG.warning("%s: %s", self.station, failure)
            if not failure.about_answer:
                await self._socket.send(failure.error(self.version).text())
            return
        if isinstance(frame, Call):
            await self._calls.put(frame)
            return
        waiting = self._pending.get(frame.id)
        if waiting is None or waiting.done():
            LOG.info("%s: an answer that nobody waits for any more", self.station)
        else:
            waiting.set_result(frame)

    async def _work(self) -> None:
        while True:
            call = await self._calls.get()
            try:
                reply = Result(call.id, await self._answer(call)).text()
            except BadFrame as failure:
                LOG.warning("%s: %s: %s", self.station, call.action, failure)
                failure.id = call.id
                reply = failure.error(self.version).text()
            except Exception:
                # One call that goes wrong must not end the connection, and with it the control of the charger.
                LOG.exception("%s: %s could not be answered", self.station, call.action)
                reply = Error(call.id, "InternalError").text()
            try:
                await self._socket.send(reply)
            except ConnectionClosed:
                return


async def _not_closed(answered: "asyncio.Future[Result | Error]") -> Result | Error:
    """The answer; ConnectionClosed when it can come no more."""
    try:
        return await asyncio.shield(answered)
    except asyncio.CancelledError:
        if answered.cancelled():
            raise ConnectionClosed(None, None) from None
        raise
