"""The connection of one charge point: it boots, tells and answers, and comes back after ever longer pauses."""

import asyncio
import base64
import logging
import random
from contextlib import suppress
from typing import Final
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidURI, NegotiationError
from websockets.typing import Subprotocol

from aggregator_agents.charging.chargepoint.clock import Clock
from aggregator_agents.charging.chargepoint.device import Device
from aggregator_agents.charging.chargepoint.dialect2 import Dialect2
from aggregator_agents.charging.chargepoint.dialect16 import Dialect16
from aggregator_agents.charging.chargepoint.events import Event, What
from aggregator_agents.charging.chargepoint.outbox import Outbox
from aggregator_agents.charging.chargepoint.settings import ChargePointsFile
from aggregator_agents.charging.hardware import HardwareSilent
from aggregator_agents.charging.ocpp.dialect import Request
from aggregator_agents.charging.ocpp.frames import Call, Payload, moment
from aggregator_agents.charging.ocpp.link import Link, Unanswered

_LONGEST: Final = 16
_LAST_WORDS_S: Final = 0.05
_log: Final = logging.getLogger(__name__)


class Connection:
    """Of one device. `attach` it before anything else."""

    def __init__(self, settings: ChargePointsFile, clock: Clock) -> None:
        """Not connected."""
        self._settings, self._clock = settings, clock
        self._link: Link | None = None
        self._reason = "Reboot"
        self._restarting = asyncio.Event()
        self._boot_again = asyncio.Event()
        self._beat = asyncio.Event()

    def attach(self, device: Device) -> None:
        """Say whose connection this is."""
        version = device.config.version
        self._device = device
        self._dialect = Dialect16(device, self) if version == "1.6" else Dialect2(device, self, version)
        self._outbox = Outbox(self._dialect, self._clock, lambda: self._link is None)

    def happened(self, event: Event) -> None:
        """Tell the central system. Without a connection a driver is taken at his word."""
        if event.what is What.AUTHORIZING and self._link is None:
            self._accept(event)
        elif self._link is not None or event.transaction is not None:
            self._outbox.put(event)

    async def ask(self, request: Request) -> Payload:
        """The answer to something that is no event. Raises Refused, Unanswered."""
        if self._link is None:
            raise Unanswered("no connection")
        return await self._link.call(request)

    def boot_again(self) -> None:
        """As Wire."""
        self._boot_again.set()

    def beat(self) -> None:
        """As Wire."""
        self._beat.set()

    def restart(self, reason: str) -> None:
        """As Wire."""
        self._reason = reason
        self._restarting.set()

    async def run(self) -> None:
        """Connect, and connect again, until cancelled."""
        pause_s, reason = self._settings.retry_s, "PowerUp"
        while True:
            try:
                async with self._connecting() as socket:
                    if await self._talk(socket, reason):
                        pause_s = self._settings.retry_s
            except (OSError, InvalidHandshake, InvalidURI, NegotiationError, HardwareSilent) as failure:
                _log.info("%s: %s", self._device.config.id, failure)
            finally:
                self._hang_up()
            # Not all stations of a site at the same instant.
            with suppress(TimeoutError):
                pause = self._clock.real_s(pause_s * random.uniform(0.5, 1.0))
                await asyncio.wait_for(self._restarting.wait(), pause)
            pause_s = min(2 * pause_s, _LONGEST * self._settings.retry_s)
            reason = await self._reboot() if self._restarting.is_set() else reason

    @property
    def _subprotocol(self) -> Subprotocol:
        return Subprotocol(f"ocpp{self._device.config.version}")

    def _connecting(self) -> connect:
        config = self._device.config
        security, url = config.security, f"{self._settings.url}/{quote(config.id, safe='')}"
        headers = {}
        if security.password is not None:
            secret = base64.b64encode(f"{config.id}:{security.password}".encode()).decode()
            headers["Authorization"] = f"Basic {secret}"
        ping_s = self._device.variables.ping_s or None
        return connect(
            url,
            subprotocols=[self._subprotocol],
            additional_headers=headers,
            ssl=security.context() if url.startswith("wss:") else None,
            open_timeout=self._settings.answers_within_s,
            ping_interval=ping_s,
            ping_timeout=ping_s,
            close_timeout=1.0,
            compression=None,
        )

    async def _talk(self, socket: ClientConnection, reason: str) -> bool:
        """Until the connection ends or a reboot is asked for; whether the central system accepted this charge point."""
        config = self._device.config
        if socket.subprotocol != self._subprotocol:
            raise NegotiationError(f"no {self._subprotocol} there")
        timeout_s = self._clock.real_s(self._settings.answers_within_s)
        link = Link(config.id, socket, config.version, self._answer, timeout_s=timeout_s)
        tasks = [
            asyncio.create_task(link.run()),
            asyncio.create_task(self._work(link, reason)),
            asyncio.create_task(self._restarting.wait()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[2] in done:
                # The answer to whoever asked for the reboot still goes out.
                await asyncio.sleep(_LAST_WORDS_S)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end
        return self._link is not None

    async def _work(self, link: Link, reason: str) -> None:
        await self._boot(link, reason)
        self._link = link
        self._device.connected(self._clock.time())
        work = (self._outbox.deliver(link), self._pulse(link), self._repeat(link))
        tasks = [asyncio.create_task(each) for each in work]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _boot(self, link: Link, reason: str) -> None:
        """Say who this is until the central system accepts it."""
        while True:
            answer = await link.call(self._dialect.boot(reason=reason))
            self._clock.set(moment(answer["currentTime"]))
            interval_s = answer["interval"]
            if answer["status"] == "Accepted":
                self._device.variables.heartbeat_s = interval_s or self._device.variables.heartbeat_s
                return
            await self._clock.sleep(interval_s or self._settings.retry_s)

    async def _pulse(self, link: Link) -> None:
        while True:
            self._beat.clear()
            with suppress(TimeoutError):
                pause = self._clock.real_s(self._device.variables.heartbeat_s)
                await asyncio.wait_for(self._beat.wait(), pause)
            answer = await link.call(Request("Heartbeat", {}))
            self._clock.set(moment(answer["currentTime"]))

    async def _repeat(self, link: Link) -> None:
        """Boot notifications that the central system asked for."""
        while True:
            await self._boot_again.wait()
            self._boot_again.clear()
            await link.call(self._dialect.boot(reason="Triggered"))

    async def _answer(self, call: Call) -> Payload:
        faults = self._device.faults
        if faults.silent:
            await asyncio.Future()
        answer = self._dialect.answer(call.action, call.payload, self._clock.time())
        # What was asked for is done by now; only the answer is late.
        await self._clock.sleep(faults.answers_after_s)
        return answer

    async def _reboot(self) -> str:
        """Down, and up again; why, as the central system will be told."""
        asked = self._reason
        self._device.shut_down(asked, self._clock.time())
        await self._clock.sleep(self._device.config.boots_in_s)
        self._device.boot(self._clock.time())
        self._restarting.clear()
        return "Watchdog" if asked == "Reboot" else "RemoteReset"

    def _hang_up(self) -> None:
        """There is no connection any more; who waits for leave to charge is taken at his word."""
        self._link = None
        self._device.disconnected(self._clock.time())
        for event in self._outbox.forget(What.AUTHORIZING):
            self._accept(event)

    def _accept(self, event: Event) -> None:
        self._device.authorised(event.plug, event.token, True, self._clock.time())
