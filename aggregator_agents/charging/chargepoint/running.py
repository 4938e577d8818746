"""Charge points of one process: each acts every second, and talks over its own websocket."""

import asyncio
import json
from collections.abc import Callable
from math import inf
from typing import Final, TextIO
from uuid import uuid4

from aggregator_agents.charging.chargepoint.clock import Clock
from aggregator_agents.charging.chargepoint.connection import Connection
from aggregator_agents.charging.chargepoint.device import Device
from aggregator_agents.charging.chargepoint.hardware import EmulatedCharger
from aggregator_agents.charging.chargepoint.leasing import Elsewhere, EmulatedHardware, LeasedCharger
from aggregator_agents.charging.chargepoint.profile_control import ProfileControl
from aggregator_agents.charging.chargepoint.settings import ChargePointConfig, ChargePointsFile, LeaseTerms
from aggregator_agents.charging.ocpp.carrying import lease_call, lease_of
from aggregator_agents.charging.ocpp.dialect import Request
from aggregator_agents.dispatch.lease import Lease, LeaseRequest
from aggregator_agents.dispatch.virtual import VirtualAggregator

Record = Callable[[float, EmulatedCharger], None]
_HANGS_S: Final = 2.5
"""A charge point that has not acted for so long on the machine, or for two of its cycles, hangs: its plugs pause."""


class ChargePoint:
    """One emulated charge point: its device, its connection and its clock. Run it once.

    It follows charging profiles, or with `leases` in its file what its own virtual aggregator decides.
    """

    def __init__(self, config: ChargePointConfig, settings: ChargePointsFile, *, record: Record | None = None) -> None:
        """Switched off. record : told what it draws."""
        self.clock = Clock(settings.speed)
        begun_s = self.clock.time().now_s
        self.connection = Connection(settings, self.clock)
        self.hardware = EmulatedCharger(
            config.charger,
            start_s=begun_s,
            floor_a=0 if settings.leases is None else settings.leases.floor_a,
            record=record,
            record_every_s=settings.records_every_s,
        )
        control = ProfileControl() if settings.leases is None else Elsewhere()
        happened = self.connection.happened
        self.device = Device(config, self.hardware, control, begun_s=begun_s, happened=happened)
        self.device.holds_s = max(_HANGS_S * settings.speed, 2 * settings.acts_every_s)
        self.connection.attach(self.device)
        self._acts_every_s = settings.acts_every_s
        self.leased = None if settings.leases is None else self._leased(settings.leases, begun_s)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.connection.run())
            tasks.create_task(self._act())
            if self.leased is not None:
                tasks.create_task(self.leased.run())

    def _leased(self, terms: LeaseTerms, begun_s: float) -> LeasedCharger:
        timing = terms.timing
        aggregator = VirtualAggregator(
            self.hardware.charger,
            floor_a=terms.floor_a,
            boot_id=str(uuid4()),
            started_s=begun_s,
            timing=timing,
            yields=terms.yields_floor,
        )
        hardware = EmulatedHardware(self.device, self.clock)
        return LeasedCharger(aggregator, hardware, self._ask, timing=timing, clock=self.clock)

    async def _ask(self, request: LeaseRequest) -> Lease | None:
        return lease_of(await self.connection.ask(Request("DataTransfer", lease_call(request))))

    async def _act(self) -> None:
        reboots_every_s = self.device.faults.reboots_every_s or inf
        reboot_s = self.clock.time().now_s + reboots_every_s
        while True:
            time = self.clock.time()
            self.device.act(time)
            if time.now_s >= reboot_s:
                reboot_s = time.now_s + reboots_every_s
                self.connection.restart("Reboot")
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
