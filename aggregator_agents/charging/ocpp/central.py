"""The central system: a websocket server where stations prove who they are and are handed to their Station."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from aggregator_agents.charging.ocpp.credentials import Doorkeeper, SecurityProfile, basic, common_name
from aggregator_agents.charging.ocpp.frames import SUBPROTOCOLS
from aggregator_agents.charging.ocpp.station import Station

LOG: Final = logging.getLogger(__name__)
_PROTOCOL_ERROR: Final = 1002


@dataclass(frozen=True)
class Listening:
    """Where stations connect, and what is borne of them.

    most_bytes : of one message. ping_s, pong_within_s : a connection is dead when a ping is not answered in time.
    handshake_within_s : long enough for the passwords of all stations, which come back at once after a restart.
    """

    host: str = "127.0.0.1"
    port: int = 9000
    profile: SecurityProfile = 1
    most_bytes: int = 65_536
    ping_s: float = 20.0
    pong_within_s: float = 10.0
    handshake_within_s: float = 30.0


class CentralSystem:
    """Stations by identity; the path of a connection ends with it, and its credential says the same."""

    def __init__(self, stations: Mapping[str, Station], doorkeeper: Doorkeeper) -> None:
        """Nothing is listened to before `listen`."""
        self.stations = stations
        self._doorkeeper = doorkeeper

    @asynccontextmanager
    async def listen(self, where: Listening, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
        """Take connections while the context lasts; at its end stations are told good-bye."""

        async def admit(connection: ServerConnection, request: Request) -> Response | None:
            refusal = await self._refusal(connection, request, where.profile)
            if refusal is None:
                return None
            status, sentence = refusal
            LOG.warning("%s at %s: %s", connection.remote_address, request.path, sentence)
            response = connection.respond(status, f"{sentence}\n")
            if status == HTTPStatus.UNAUTHORIZED:
                response.headers["WWW-Authenticate"] = 'Basic realm="OCPP", charset="UTF-8"'
            return response

        async with serve(
            self._serve,
            where.host,
            where.port,
            ssl=tls,
            subprotocols=[Subprotocol(each) for each in SUBPROTOCOLS],
            select_subprotocol=_select,
            process_request=admit,
            compression=None,
            max_size=where.most_bytes,
            ping_interval=where.ping_s,
            ping_timeout=where.pong_within_s,
            open_timeout=where.handshake_within_s,
            close_timeout=2.0,
        ) as server:
            try:
                yield server
            finally:
                await asyncio.gather(*(each.close() for each in self.stations.values()))

    async def _refusal(
        self, connection: ServerConnection, request: Request, profile: SecurityProfile
    ) -> tuple[HTTPStatus, str] | None:
        if profile == 3:
            secure = connection.transport.get_extra_info("ssl_object")
            identity = common_name(secure.getpeercert() if secure is not None else None)
            if identity is None or not self._doorkeeper.knows(identity):
                return HTTPStatus.UNAUTHORIZED, "no certificate of a station that is known"
        else:
            given = request.headers.get_all("Authorization")
            credential = basic(given[0]) if len(given) == 1 else None
            if credential is None:
                return HTTPStatus.UNAUTHORIZED, "no user and password"
            identity, password = credential
            if not await self._doorkeeper.proves(identity, password):
                return HTTPStatus.UNAUTHORIZED, "unknown station or wrong password"
        if identity != identity_in(request.path) or identity not in self.stations:
            return HTTPStatus.FORBIDDEN, "the credential is of another station"
        connection.username = identity
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        if connection.subprotocol is None:
            # The handshake is completed without a subprotocol and closed at once (OCPP 1.6J, 3.2).
            await connection.close(_PROTOCOL_ERROR, "none of the subprotocols is spoken here")
            return
        await self.stations[connection.username].serve(connection, SUBPROTOCOLS[connection.subprotocol])


def identity_in(path: str) -> str:
    """The last part of a connection's path."""
    return unquote(urlsplit(path).path.rpartition("/")[2])


def _select(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """What the station puts first of what we speak: it knows best what it speaks well (OCPP 1.6J, 3.2)."""
    return next((each for each in offered if each in SUBPROTOCOLS), None)
