"""An independent OCPP implementation with strict schemas, at both ends of the wire, in all three versions."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aggregator_agents.charging.chargepoint.running import ChargePoint
from aggregator_agents.charging.chargepoint.settings import Arrival, ChargePointConfig, ChargePointsFile, Security
from aggregator_agents.charging.ocpp.central import CentralSystem, Listening
from aggregator_agents.charging.ocpp.credentials import Doorkeeper, hashed
from aggregator_agents.charging.ocpp.dialect import Desk
from aggregator_agents.charging.ocpp.frames import Version
from aggregator_agents.charging.ocpp.station import Station, StationTerms
from aggregator_agents.emulation.vehicle import EXACT
from aggregator_agents.fleet import Charger, Plug
from tests.peer import Peer, running_peer

VERSIONS: list[Version] = ["1.6", "2.0.1", "2.1"]
PASSWORD = "a-secret-of-16-c"


@pytest.mark.parametrize("version", VERSIONS)
async def test_our_central_system_is_understood_by_a_strict_charge_point(version: Version) -> None:
    """It boots, charges 12.5 A on three phases, and is told its fallback, its lease and its signal of 9 A."""
    charger = Charger("peer", (Plug("peer-1", "peer"), Plug("peer-2", "peer")))
    station = Station(charger, StationTerms(floor_a=7), Desk(tokens=lambda token: token == "PEER", sample_s=1))
    central = CentralSystem({"peer": station}, Doorkeeper({"peer": hashed(PASSWORD)}))
    async with central.listen(Listening(port=0)) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp"
        async with running_peer("station.mjs", f"ocpp{version}", url, "peer", PASSWORD) as peer:
            assert (await peer.told(lambda line: "charging" in line))["charging"] == "Accepted"
            await asyncio.wait_for(station.ready(), 10)
            await station.hold((16, 16, 16), until_s=time.monotonic() + 30)
            await station.signal("peer-1", 9)
            readings = await station.read()

            assert readings[0].current_a == (12.5, 12.5, 12.5)
            assert readings[0].session_wh == (234 if version == "1.6" else 0), "from what the meter showed at its start"
            if version != "1.6":
                vehicle = readings[0].vehicle
                assert vehicle is not None
                assert (vehicle.energy_wh, vehicle.min_a, vehicle.max_a) == (9000, 6, 13)
            await station.open_contactor("peer-1")
            stop = "RemoteStopTransaction" if version == "1.6" else "RequestStopTransaction"
            await peer.told(lambda line: line.get("action") == stop)

            limits = [line["payload"] for line in peer.lines if line.get("action") == "SetChargingProfile"]
            assert _first_limit(limits[-1]) == 9
            assert {_plug(each) for each in limits} == {0, 1, 2}
            assert peer.violations() == []


async def _signals(point: ChargePoint, *, first_a: int) -> list[int]:
    """Of both pilots, once the first is at `first_a`: a pilot changes at most every 5 s (IEC 61851-1)."""
    async with asyncio.timeout(15):
        while (signals := [each.hardware.signal_a for each in point.device.bays.values()])[0] != first_a:
            await asyncio.sleep(0.1)
    return signals


@asynccontextmanager
async def our_charge_point(version: Version) -> AsyncIterator[tuple[Peer, ChargePoint]]:
    """Two vehicles at a charge point of ours, which is connected to the strict central system and charges both."""
    async with running_peer("central.mjs", f"ocpp{version}") as peer:
        port = (await peer.told(lambda line: "port" in line))["port"]
        config = ChargePointConfig(
            id="ours",
            version=version,
            max_a=32,
            security=Security(password=PASSWORD),
            arrivals=(
                Arrival(plug=1, wants_wh=9_000, behaviour=EXACT),
                Arrival(plug=2, wants_wh=9_000, stored_wh=20_000, battery_wh=50_000, tells=True, discharge_a=16),
            ),
            boots_in_s=0.1,
        )
        settings = ChargePointsFile(
            url=f"ws://127.0.0.1:{port}/ocpp", acts_every_s=0.1, retry_s=0.1, charge_points=(config,)
        )
        point = ChargePoint(config, settings)
        running = asyncio.create_task(point.run())
        try:
            started = "StartTransaction" if version == "1.6" else "TransactionEvent"
            await peer.told(lambda line: line.get("action") == started and _plug(line["payload"]) == 2)
            yield peer, point
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_our_charge_point_of_1_6_satisfies_a_strict_central_system() -> None:
    """18 A for both plugs; one is set to 7.3 A, which its pilot rounds down. All that is asked is answered."""
    async with our_charge_point("1.6") as (peer, point):
        limit = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 18.0}]}
        whole = {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "ChargePointMaxProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": limit,
        }
        own = whole | {
            "chargingProfileId": 2,
            "transactionId": 1,
            "chargingProfilePurpose": "TxProfile",
            "chargingSchedule": limit | {"duration": 60, "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7.3}]},
        }
        asked: list[tuple[str, dict[str, Any], str]] = [
            ("SetChargingProfile", {"connectorId": 0, "csChargingProfiles": whole}, "Accepted"),
            ("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": own}, "Accepted"),
            ("SetChargingProfile", {"connectorId": 0, "csChargingProfiles": own}, "Rejected"),
            ("ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "1"}, "Accepted"),
            ("ChangeConfiguration", {"key": "NumberOfConnectors", "value": "9"}, "Rejected"),
            ("TriggerMessage", {"requestedMessage": "MeterValues"}, "Accepted"),
            ("TriggerMessage", {"requestedMessage": "Heartbeat"}, "Accepted"),
            ("ChangeAvailability", {"connectorId": 2, "type": "Inoperative"}, "Scheduled"),
            ("DataTransfer", {"vendorId": "x"}, "UnknownVendorId"),
        ]
        for action, payload, status in asked:
            assert (await peer.ask(action, payload))["status"] == status, action
        composite = await peer.ask("GetCompositeSchedule", {"connectorId": 1, "duration": 120})
        periods = composite["chargingSchedule"]["chargingSchedulePeriod"]
        assert [each["limit"] for each in periods] == [7.3, 16]
        assert periods[1]["startPeriod"] == pytest.approx(60, abs=2)
        first_a, second_a = await _signals(point, first_a=7)
        assert (first_a, second_a) in {(7, 9), (7, 11)}, "half of 18 A, or what the first leaves of it"

        await peer.told(lambda line: line.get("action") == "MeterValues" and _plug(line["payload"]) == 2)
        assert (await peer.ask("GetConfiguration", {}))["unknownKey"] == []
        assert (await peer.ask("ClearChargingProfile", {"id": 9}))["status"] == "Unknown"
        assert (await peer.ask("RemoteStopTransaction", {"transactionId": 1}))["status"] == "Accepted"
        await peer.told(lambda line: line.get("action") == "StopTransaction" and line["payload"]["reason"] == "Remote")
        assert (await peer.ask("Reset", {"type": "Hard"}))["status"] == "Accepted"
        await _booted_again(peer)
        assert peer.violations() == []


@pytest.mark.parametrize("version", VERSIONS[1:])
async def test_our_charge_point_of_2_satisfies_a_strict_central_system(version: Version) -> None:
    """As above; in 2.1 a set-point of -16 A within -8 A makes a vehicle feed back 8 A, until an update of 7 A."""
    async with our_charge_point(version) as (peer, point):
        transaction = (await _started(peer, 1))["transactionInfo"]["transactionId"]
        limit = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 18}]}
        whole = {
            "id": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "ChargingStationMaxProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": [limit],
        }
        own = whole | {
            "id": 2,
            "transactionId": transaction,
            "chargingProfilePurpose": "TxProfile",
            "chargingSchedule": [limit | {"duration": 60, "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7}]}],
        }
        interval = {
            "component": {"name": "SampledDataCtrlr"},
            "variable": {"name": "TxUpdatedInterval"},
            "attributeValue": "1",
        }
        asked: list[tuple[str, dict[str, Any], str]] = [
            ("SetChargingProfile", {"evseId": 0, "chargingProfile": whole}, "Accepted"),
            ("SetChargingProfile", {"evseId": 1, "chargingProfile": own}, "Accepted"),
            ("SetChargingProfile", {"evseId": 0, "chargingProfile": own}, "Rejected"),
            ("SetChargingProfile", {"evseId": 1, "chargingProfile": own | {"id": 3}}, "Rejected"),
            ("TriggerMessage", {"requestedMessage": "TransactionEvent"}, "Accepted"),
            ("TriggerMessage", {"requestedMessage": "MeterValues", "evse": {"id": 2}}, "Accepted"),
            ("TriggerMessage", {"requestedMessage": "BootNotification"}, "Accepted"),
            ("TriggerMessage", {"requestedMessage": "LogStatusNotification"}, "NotImplemented"),
            ("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 2}}, "Scheduled"),
            ("Reset", {"type": "OnIdle"}, "Rejected"),
        ]
        for action, payload, status in asked:
            assert (await peer.ask(action, payload))["status"] == status, action
        [result] = (await peer.ask("SetVariables", {"setVariableData": [interval]}))["setVariableResult"]
        assert result["attributeStatus"] == "Accepted"
        composite = await peer.ask("GetCompositeSchedule", {"evseId": 1, "duration": 120})
        assert [each["limit"] for each in composite["schedule"]["chargingSchedulePeriod"]] == [7, 16]
        await asyncio.sleep(0.2)
        first_a, second_a = await _signals(point, first_a=7)
        assert (first_a, second_a) in {(7, 9), (7, 11)}, "half of 18 A, or what the first leaves of it"
        await peer.told(
            lambda line: (
                line.get("payload", {}).get("triggerReason") == "MeterValuePeriodic"
                and line["payload"]["evse"]["id"] == 2
            )
        )
        needs = await peer.told(lambda line: line.get("action") == "NotifyEVChargingNeeds")
        assert needs["payload"]["chargingNeeds"]["acChargingParameters"]["energyAmount"] == 9_000
        if version == "2.1":
            await _feeds_back_and_pulls(peer, point)

        assert (await peer.ask("RequestStopTransaction", {"transactionId": transaction}))["status"] == "Accepted"
        await peer.told(lambda line: line.get("payload", {}).get("eventType") == "Ended")
        assert (await peer.ask("Reset", {"type": "Immediate"}))["status"] == "Accepted"
        await _booted_again(peer)
        assert peer.violations() == []


async def _feeds_back_and_pulls(peer: Peer, point: ChargePoint) -> None:
    """Of a dynamic profile, which OCPP 2.1 has: the station asks for its next limit after a second."""
    transaction = (await _started(peer, 2))["transactionInfo"]["transactionId"]
    period = {
        "startPeriod": 0,
        "operationMode": "CentralSetpoint",
        "limit": 16,
        "limit_L2": 16,
        "limit_L3": 16,
        "dischargeLimit": -8,
        "dischargeLimit_L2": -8,
        "dischargeLimit_L3": -8,
        "setpoint": -16,
        "setpoint_L2": -16,
        "setpoint_L3": -16,
    }
    profile = {
        "id": 7,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Dynamic",
        "dynUpdateInterval": 1,
        "transactionId": transaction,
        "chargingSchedule": [{"id": 7, "chargingRateUnit": "A", "duration": 60, "chargingSchedulePeriod": [period]}],
    }
    assert (await peer.ask("SetChargingProfile", {"evseId": 2, "chargingProfile": profile}))["status"] == "Accepted"
    await asyncio.sleep(0.3)
    assert point.device.bays[2].hardware.signal_a == -8
    await peer.told(lambda line: line.get("action") == "PullDynamicScheduleUpdate")
    update = {"chargingProfileId": 7, "scheduleUpdate": {"limit": 7, "setpoint": 7}}
    assert (await peer.ask("UpdateDynamicSchedule", update))["status"] == "Accepted"
    composite = await peer.ask("GetCompositeSchedule", {"evseId": 2, "duration": 10})
    assert composite["schedule"]["chargingSchedulePeriod"][0]["setpoint"] == 7


async def _started(peer: Peer, plug: int) -> dict[str, dict[str, str]]:
    line = await peer.told(
        lambda line: line.get("payload", {}).get("eventType") == "Started" and _plug(line["payload"]) == plug
    )
    payload: dict[str, dict[str, str]] = line["payload"]
    return payload


async def _booted_again(peer: Peer) -> None:
    """It connects once more, and says why it booted."""
    before = len(peer.lines)
    await peer.told(lambda line: "connected" in line and line in peer.lines[before - 1 :])
    await peer.told(lambda line: line.get("action") == "BootNotification" and line in peer.lines[before:])


def _plug(payload: dict[str, object]) -> object:
    evse = payload.get("evse")
    if isinstance(evse, dict):
        return evse["id"]
    return payload.get("connectorId", payload.get("evseId"))


def _first_limit(payload: dict[str, dict[str, object]]) -> object:
    profile = payload.get("csChargingProfiles") or payload["chargingProfile"]
    schedule = profile["chargingSchedule"]
    first = schedule[0] if isinstance(schedule, list) else schedule
    assert isinstance(first, dict)
    return first["chargingSchedulePeriod"][0]["limit"]
