"""A network that fails between a client and a market, as it is told to: one fault for each connection, in order."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from typing import Literal, Self, TypeAlias
from urllib.parse import urlsplit

Fault: TypeAlias = Literal[
    "refused", "reset before", "reset after", "silent", "cut off", "half-closed", "late", "dribbled"
]
"""refused : closed at once. reset before, reset after : reset with the request undelivered, or delivered and its answer
lost. silent : delivered, and the answer never comes. cut off : half of the answer, then the end. half-closed : the
client's side ends while the answer is under way. late : the answer comes after a while. dribbled : byte by byte.
"""
_LATE_S = 0.2


@dataclass
class BadNetwork:
    """A TCP proxy. faults : of the next connections; afterwards everything passes. met : those that came up."""

    target: str
    faults: list[Fault] = field(default_factory=list)
    met: list[Fault] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        self._server.close()
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            self.met.append(fault)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._pass(fault, reader, writer)
        writer.close()

    async def _pass(self, fault: Fault | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if fault == "refused":
            return None
        there = urlsplit(self.target)
        request = await _message(reader)
        if fault == "reset before":
            return _reset(writer)
        back, on = await asyncio.open_connection(there.hostname, there.port)
        try:
            while request:
                on.write(request)
                if fault == "half-closed":
                    on.write_eof()
                answer = await _message(back)
                if not await _give(fault, answer, writer):
                    return None
                request = await _message(reader)
        finally:
            on.close()


async def _give(fault: Fault | None, answer: bytes, writer: asyncio.StreamWriter) -> bool:
    """Pass an answer on, or what the fault leaves of it; whether the connection goes on."""
    match fault:
        case "reset after":
            _reset(writer)
            return False
        case "silent":
            await asyncio.sleep(3600)
        case "cut off":
            writer.write(answer[: len(answer) - 5])
            await writer.drain()
            return False
        case "late":
            await asyncio.sleep(_LATE_S)
        case "dribbled":
            for at in range(len(answer)):
                writer.write(answer[at : at + 1])
                await writer.drain()
            return True
    writer.write(answer)
    await writer.drain()
    return True


async def _message(reader: asyncio.StreamReader) -> bytes:
    """One request or answer with its body; empty at the end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return head + await reader.readexactly(int(lengths[0]) if lengths else 0)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    own: socket.socket = writer.get_extra_info("socket")
    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
