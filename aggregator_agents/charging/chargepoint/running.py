"""Charge points of one process: each acts every second, and talks over its own websocket."""

import asyncio
import json
from collections.abc import Callable
from math import inf
from typing import Final, TextIO

from aggregator_agents.charging.chargepoint.clock import Clock
from aggregator_agents.charging.chargepoint.device import Control, Device
from aggregator_agents.charging.chargepoint.hardware import EmulatedCharger
from aggregator_agents.charging.chargepoint.link import Link
from aggregator_agents.charging.chargepoint.profile_control import ProfileControl
from aggregator_agents.charging.chargepoint.settings import ChargePointConfig, ChargePointsFile

_HANGS_AFTER: Final = 3.0
"""A charge point that has not acted for so many of its cycles hangs."""
Record = Callable[[float, EmulatedCharger], None]


class ChargePoint:
    """One emulated charge point: its device, its connection and its clock. Run it once."""

    def __init__(
        self,
        config: ChargePointConfig,
        settings: ChargePointsFile,
        *,
        control: Control | None = None,
        record: Record | None = None,
    ) -> None:
        """Switched off.

        control : who decides what its plugs signal; its own smart charging without one. record : told what it draws.
        """
        self.clock = Clock(settings.speed)
        begun_s = self.clock.time().now_s
        self.link = Link(settings, self.clock)
        self.hardware = EmulatedCharger(
            config.charger,
            start_s=begun_s,
            record=record,
            record_every_s=settings.records_every_s,
        )
        happened = self.link.happened
        self.device = Device(config, self.hardware, control or ProfileControl(), begun_s=begun_s, happened=happened)
        self.device.holds_s = _HANGS_AFTER * settings.acts_every_s
        self.link.attach(self.device)
        self._acts_every_s = settings.acts_every_s

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.link.run())
            tasks.create_task(self._act())

    async def _act(self) -> None:
        reboots_every_s = self.device.faults.reboots_every_s or inf
        reboot_s = self.clock.time().now_s + reboots_every_s
        while True:
            time = self.clock.time()
            self.device.act(time)
            if time.now_s >= reboot_s:
                reboot_s = time.now_s + reboots_every_s
                self.link.restart("Reboot")
            await self.clock.sleep(self._acts_every_s)


async def run_all(settings: ChargePointsFile, record: Record | None = None) -> None:
    """Every charge point of a file, until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for config in settings.charge_points:
            tasks.create_task(ChargePoint(config, settings, record=record).run())


def journal(file: TextIO) -> Record:
    """Write what chargers draw, one JSON object a line.

    t_s : monotonic clock. charger : its id. current_a : on phases L1, L2, L3 of the site, charging positive [A].
    plugs : what each signals, and what it draws at terminals 1, 2, 3.
    """

    def record(at_s: float, hardware: EmulatedCharger) -> None:
        drawn, behind = hardware.current_a, hardware.charger.terminals
        line = {
            "t_s": round(at_s, 3),
            "charger": hardware.charger.id,
            "current_a": [round(drawn[behind.index(phase)], 3) for phase in range(3)],
            "plugs": {
                id: {"signal_a": plug.signal_a, "current_a": [round(amps, 3) for amps in plug.current_a]}
                for id, plug in hardware.plugs.items()
            },
        }
        file.write(json.dumps(line, separators=(",", ":")) + "\n")
        file.flush()

    return record
