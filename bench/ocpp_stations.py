"""Stations of the OCPP measurement in a process of their own: they accept whatever they are told, at once."""

import asyncio
import json
import sys
from base64 import b64encode
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

PASSWORD: Final = "of-every-station-of-the-measurement"
PLUGS: Final = (1, 2)


async def main(port: int, version: str, stations: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(1, stations + 1):
            tasks.create_task(station(port, version, f"lot-{number}"))


async def station(port: int, version: str, name: str) -> None:
    """Connect until that succeeds, as stations do."""
    while True:
        try:
            await connected(port, version, name)
            return
        except (OSError, TimeoutError, InvalidHandshake):
            await asyncio.sleep(1)


async def connected(port: int, version: str, name: str) -> None:
    """Boot, begin a transaction at each plug, and answer until the connection is closed."""
    token = b64encode(f"{name}:{PASSWORD}".encode()).decode()
    async with connect(
        f"ws://localhost:{port}/{name}",
        subprotocols=[Subprotocol(f"ocpp{version}")],
        additional_headers={"Authorization": f"Basic {token}"},
        compression=None,
        open_timeout=60,
    ) as socket:
        ids = count()
        for action, payload in beginnings(version):
            await socket.send(json.dumps([2, str(next(ids)), action, payload]))
        try:
            while True:
                await answer(socket, json.loads(await socket.recv()))
        except ConnectionClosed:
            return


def beginnings(version: str) -> list[tuple[str, dict[str, Any]]]:
    now = datetime.now(UTC).isoformat()
    if version == "1.6":
        boot = {"chargePointVendor": "bench", "chargePointModel": "bench"}
        started = [{"connectorId": plug, "idTag": "T", "meterStart": 0, "timestamp": now} for plug in PLUGS]
        return [("BootNotification", boot), *(("StartTransaction", each) for each in started)]
    about = {"reason": "PowerUp", "chargingStation": {"vendorName": "bench", "model": "bench"}}
    events = [
        {
            "eventType": "Started",
            "timestamp": now,
            "triggerReason": "Authorized",
            "seqNo": 0,
            "transactionInfo": {"transactionId": f"tx-{plug}"},
            "evse": {"id": plug, "connectorId": 1},
        }
        for plug in PLUGS
    ]
    return [("BootNotification", about), *(("TransactionEvent", each) for each in events)]


async def answer(socket: ClientConnection, frame: list[Any]) -> None:
    if frame[0] != 2:
        return
    action, payload = frame[2], frame[3]
    result: dict[str, Any] = {"status": "Accepted"}
    if action == "GetConfiguration":
        result = {"unknownKey": payload["key"]}
    elif action == "GetVariables":
        asked = payload["getVariableData"]
        result = {"getVariableResult": [each | {"attributeStatus": "UnknownVariable"} for each in asked]}
    elif action == "SetVariables":
        kept = [
            {"component": each["component"], "variable": each["variable"], "attributeStatus": "Accepted"}
            for each in payload["setVariableData"]
        ]
        result = {"setVariableResult": kept}
    await socket.send(json.dumps([3, frame[1], result]))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
