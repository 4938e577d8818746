"""Connections of clients that begin a request and never end its head: closed after a while, whoever they are."""

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class TimelyProtocol(H11Protocol):
    """Uvicorn's HTTP/1.1, which itself waits for a request's head for ever."""

    head_within_s: ClassVar[float] = 20.0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client came, and owes a head."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """A part of a head, the rest of it, or of a body (which `BodyLimit` waits for)."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """The next head may have begun already."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        super().connection_lost(exc)
        self._forget()

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(self.head_within_s, self._close)

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _close(self) -> None:
        self._late = None
        # What is answered at the moment is not cut off.
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
