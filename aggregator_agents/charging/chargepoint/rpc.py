"""OCPP-J at a charge point's end of a websocket: calls, answers and errors, checked against their schemas.

(OCPP 1.6 JSON specification; OCPP 2.0.1 part 4.) Payloads keep the words of the wire: the conversions of the `ocpp`
package lose the values of OCPP 2.1 for single phases.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

from jsonschema.exceptions import ValidationError
from ocpp.messages import MessageType, get_validator
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

Payload = dict[str, Any]
Handler = Callable[[str, Payload], Awaitable[Payload]]

_RESULT_ERROR: Final = 5
_log: Final = logging.getLogger(__name__)


class CallRefused(Exception):
    """The other side answered a call with an error. code : of OCPP-J."""

    def __init__(self, code: str, description: str) -> None:
        """Say why."""
        super().__init__(f"{code}: {description}")
        self.code = code


class PeerSilent(Exception):
    """The other side did not answer in time, or the connection is gone."""


class Rpc:
    """One connection."""

    def __init__(self, socket: ClientConnection, version: str, answer: Handler, *, answers_within_s: float) -> None:
        """Over an open socket. answer : gives the answer to a call, or raises CallRefused."""
        self._socket, self._version, self._answer = socket, version, answer
        self._answers_within_s = answers_within_s
        self._waiting: dict[str, asyncio.Future[Payload]] = {}
        # One call at a time (OCPP-J, 4.1.1).
        self._one_call = asyncio.Lock()

    async def call(self, action: str, payload: Payload) -> Payload:
        """The answer to a call. Raises PeerSilent, or CallRefused."""
        self._check(MessageType.Call, action, payload)
        async with self._one_call:
            id = str(uuid4())
            self._waiting[id] = asyncio.get_running_loop().create_future()
            try:
                await self._send([MessageType.Call, id, action, payload])
                answer = await asyncio.wait_for(self._waiting[id], self._answers_within_s)
            except (TimeoutError, ConnectionClosed) as error:
                raise PeerSilent(action) from error
            finally:
                del self._waiting[id]
        self._check(MessageType.CallResult, action, answer)
        return answer

    async def listen(self) -> None:
        """Take what comes until the connection is gone."""
        try:
            async with asyncio.TaskGroup() as answering:
                async for text in self._socket:
                    self._take(text, answering)
        except* ConnectionClosed:
            pass
        finally:
            for each in self._waiting.values():
                if not each.done():
                    each.set_exception(PeerSilent("connection lost"))

    def _take(self, text: str | bytes, answering: asyncio.TaskGroup) -> None:
        try:
            kind, id, *rest = json.loads(text)
        except (ValueError, TypeError):
            _log.warning("not OCPP-J, ignored")
            return
        waiting = self._waiting.get(id) if isinstance(id, str) else None
        match kind, rest:
            case MessageType.Call, [str(action), dict(payload)]:
                answering.create_task(self._reply(id, action, payload))
            case MessageType.CallResult, [dict(payload)] if waiting is not None and not waiting.done():
                waiting.set_result(payload)
            case MessageType.CallError, [str(code), *more] if waiting is not None and not waiting.done():
                waiting.set_exception(CallRefused(code, str(more[0]) if more else ""))
            case _:
                _log.warning("message of kind %s that nobody waits for, ignored", kind)

    async def _reply(self, id: str, action: str, payload: Payload) -> None:
        try:
            self._check(MessageType.Call, action, payload)
            answer = await self._answer(action, payload)
            self._check(MessageType.CallResult, action, answer)
        except CallRefused as refused:
            await self._send([MessageType.CallError, id, refused.code, str(refused)[:255], {}])
        else:
            await self._send([MessageType.CallResult, id, answer])

    async def _send(self, message: list[Any]) -> None:
        await self._socket.send(json.dumps(message, allow_nan=False, separators=(",", ":")))

    def _check(self, kind: int, action: str, payload: Payload) -> None:
        """Raises CallRefused for what the schema does not allow."""
        try:
            schema = get_validator(kind, action, self._version, parse_float=Decimal)
        except OSError as error:
            raise CallRefused("NotImplemented", f"no {action} in OCPP {self._version}") from error
        # Decimals, because 0.3 is no multiple of 0.1 in floating point.
        exact = json.loads(json.dumps(payload), parse_float=Decimal)
        try:
            schema.validate(exact)
        except ValidationError as error:
            code = _CODES.get(str(error.validator), "PropertyConstraintViolation")
            if code == _OCCURRENCE and self._version == "1.6":
                code = "OccurenceConstraintViolation"
            raise CallRefused(code, error.message) from error


_OCCURRENCE: Final = "OccurrenceConstraintViolation"
_CODES: Final = {"type": "TypeConstraintViolation", "additionalProperties": "FormatViolation", "required": _OCCURRENCE}
"""Of the schema's keyword that was broken; OCPP 1.6 spells one of them its own way."""
