"""A charger with a virtual aggregator of its own: it acts every second, and pulls leases over DataTransfer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

from aggregator_agents.charging.chargepoint.clock import Clock, Time
from aggregator_agents.charging.chargepoint.device import Device
from aggregator_agents.charging.hardware import ChargerHardware, HardwareSilent, PlugReading
from aggregator_agents.dispatch.lease import Lease, LeaseRequest, Timing
from aggregator_agents.dispatch.virtual import VirtualAggregator

Ask = Callable[[LeaseRequest], Awaitable[Lease | None]]
"""Ask the cloud; None for no lease. Raises HardwareSilent when it does not answer."""
_log: Final = logging.getLogger(__name__)


class Elsewhere:
    """As Control, of a charge point whose plugs are signalled by somebody else."""

    def act(self, device: Device, time: Time) -> None:
        """Nothing."""


class EmulatedHardware:
    """The plugs of an emulated charge point as ChargerHardware."""

    def __init__(self, device: Device, clock: Clock) -> None:
        """Of `device`, by its clock."""
        self._device, self._clock = device, clock
        self._bays = {bay.hardware.plug.id: bay for bay in device.bays.values()}

    async def read(self) -> tuple[PlugReading, ...]:
        """As ChargerHardware."""
        self._device.hardware.advance(self._clock.time().now_s)
        if self._device.down:
            raise HardwareSilent(f"{self._device.config.id} is booting")
        return tuple(bay.reading() for bay in self._bays.values())

    async def signal(self, plug: str, limit_a: int, *, holds_s: float = inf) -> None:
        """As ChargerHardware."""
        now_s = self._clock.time().now_s
        self._device.hardware.signal(plug, limit_a, decided_s=now_s, now_s=now_s, holds_s=holds_s)

    async def open_contactor(self, plug: str) -> None:
        """As ChargerHardware."""
        now_s = self._clock.time().now_s
        self._device.hardware.advance(now_s)
        self._bays[plug].hardware.cut(now_s)


class LeasedCharger:
    """Drives a charger's hardware by its virtual aggregator."""

    def __init__(
        self, aggregator: VirtualAggregator, hardware: ChargerHardware, ask: Ask, *, timing: Timing, clock: Clock
    ) -> None:
        """Nothing is done before `run`."""
        self._aggregator, self._hardware, self._ask = aggregator, hardware, ask
        self._timing, self._clock = timing, clock

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._act())
            tasks.create_task(self._renew())

    async def _act(self) -> None:
        while True:
            try:
                await self.act_once()
            except HardwareSilent as failure:
                _log.info("%s: %s", self._aggregator.charger.id, failure)
            await self._clock.sleep(self._timing.act_every_s)

    async def act_once(self) -> None:
        """Read, decide, signal. Raises HardwareSilent.

        What was decided before this process was stopped is not done after it: it is decided anew.
        """
        readings = await self._hardware.read()
        decided_s = self._clock.time().now_s
        for command in self._aggregator.act(readings, decided_s):
            late_s = self._clock.time().now_s - decided_s
            if command.opens:
                await self._hardware.open_contactor(command.plug)
            elif late_s < self._timing.act_every_s:
                await self._hardware.signal(
                    command.plug, command.limit_a, holds_s=command.until_s - self._clock.time().now_s
                )

    async def ask_once(self) -> None:
        """Ask for a lease, and take it."""
        try:
            lease = await self._ask(self._aggregator.request(self._clock.time().now_s))
        except HardwareSilent as failure:
            _log.info("%s: %s", self._aggregator.charger.id, failure)
        else:
            if lease is not None:
                self._aggregator.accept(lease, self._clock.time().now_s)

    async def _renew(self) -> None:
        while True:
            asked_s = self._clock.time().now_s
            await self.ask_once()
            await self._clock.sleep(asked_s + self._timing.ask_every_s - self._clock.time().now_s)
