"""The same sweep by a central system of the PyPI package `ocpp` alone, without passwords, readings or fallbacks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v21 import ChargePoint as ChargePoint21
from ocpp.v21 import call as call21
from ocpp.v21 import call_result as result21
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from bench.ocpp_stations import PLUGS

F = TypeVar("F", bound=Callable[..., Any])


def handles(action: str) -> Callable[[F], F]:
    return cast(Callable[[F], F], on(action))


class _Station16(ChargePoint16):  # type: ignore[misc]
    begun = 0

    @handles("BootNotification")
    def on_boot(self, **_: Any) -> Any:
        return result16.BootNotification(datetime.now(UTC).isoformat(), 60, "Accepted")

    @handles("StartTransaction")
    def on_start(self, **_: Any) -> Any:
        self.begun += 1
        return result16.StartTransaction(self.begun, {"status": "Accepted"})

    async def signal(self, plug: int, limit_a: int) -> str:
        schedule = {
            "start_schedule": datetime.now(UTC).isoformat(),
            "duration": 30,
            "charging_rate_unit": "A",
            "charging_schedule_period": [{"start_period": 0, "limit": limit_a, "number_phases": 3}],
        }
        profile = {
            "charging_profile_id": 10 * plug + 1,
            "stack_level": 1,
            "charging_profile_purpose": "TxProfile",
            "charging_profile_kind": "Absolute",
            "transaction_id": plug,
            "charging_schedule": schedule,
        }
        return str((await self.call(call16.SetChargingProfile(plug, profile), suppress=False)).status)


class _Later:
    """What OCPP 2.0.1 and 2.1 have in common."""

    calls: Any
    results: Any
    begun = 0

    @handles("BootNotification")
    def on_boot(self, **_: Any) -> Any:
        return self.results.BootNotification(datetime.now(UTC).isoformat(), 60, "Accepted")

    @handles("TransactionEvent")
    def on_event(self, **_: Any) -> Any:
        self.begun += 1
        return self.results.TransactionEvent()

    async def signal(self, plug: int, limit_a: int) -> str:
        schedule = {
            "id": 1,
            "start_schedule": datetime.now(UTC).isoformat(),
            "duration": 30,
            "charging_rate_unit": "A",
            "charging_schedule_period": [{"start_period": 0, "limit": limit_a, "number_phases": 3}],
        }
        profile = {
            "id": 10 * plug + 1,
            "stack_level": 1,
            "charging_profile_purpose": "TxProfile",
            "charging_profile_kind": "Absolute",
            "transaction_id": f"tx-{plug}",
            "charging_schedule": [schedule],
        }
        call = self.calls.SetChargingProfile(evse_id=plug, charging_profile=profile)
        return str((await self.call(call, suppress=False)).status)  # type: ignore[attr-defined]


class _Station201(_Later, ChargePoint201):  # type: ignore[misc]
    calls, results = call201, result201


class _Station21(_Later, ChargePoint21):  # type: ignore[misc]
    calls, results = call21, result21


STATIONS: dict[str, Any] = {"1.6": _Station16, "2.0.1": _Station201, "2.1": _Station21}


@asynccontextmanager
async def listening(version: str) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    """Its port, and the stations that are connected."""
    stations: dict[str, Any] = {}

    async def handle(socket: ServerConnection) -> None:
        assert socket.request is not None
        name = socket.request.path.strip("/")
        stations[name] = STATIONS[version](name, socket)
        try:
            await stations[name].start()
        except ConnectionClosed:
            return

    protocols = [Subprotocol(f"ocpp{version}")]
    async with serve(handle, "127.0.0.1", 0, subprotocols=protocols, compression=None) as server:
        yield next(iter(server.sockets)).getsockname()[1], stations


async def all_begun(stations: dict[str, Any], count: int) -> None:
    while len(stations) < count or any(each.begun < len(PLUGS) for each in stations.values()):
        await asyncio.sleep(0.05)


async def sweep_once(stations: dict[str, Any], limit_a: int) -> None:
    async def both(station: Any) -> None:
        for plug in PLUGS:
            assert await station.signal(plug, limit_a) == "Accepted"

    await asyncio.gather(*map(both, stations.values()))
