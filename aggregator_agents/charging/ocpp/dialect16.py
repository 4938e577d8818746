"""OCPP 1.6: transactions that the central system numbers, settings as keys, one connector per plug."""

from datetime import datetime
from typing import Final

from aggregator_agents.charging.ocpp.dialect import MEASURANDS, Answer, Desk, Request, whole
from aggregator_agents.charging.ocpp.events import Began, Booted, Changed, Over, State, metered
from aggregator_agents.charging.ocpp.frames import BadFrame, Call, Payload, Version, moment, stamp
from aggregator_agents.charging.ocpp.profiles import Abilities

_STATES: Final[dict[str, State]] = {
    "Available": "free",
    "Preparing": "plugged",
    "Charging": "charging",
    "SuspendedEV": "declined",
    "SuspendedEVSE": "paused",
    "Finishing": "ended",
    "Reserved": "free",
    "Unavailable": "unusable",
    "Faulted": "unusable",
}
_NOTED: Final = frozenset(
    {
        *("DiagnosticsStatusNotification", "FirmwareStatusNotification", "LogStatusNotification"),
        *("SecurityEventNotification", "SignedFirmwareStatusNotification"),
    }
)
_KEYS: Final = ("ChargeProfileMaxStackLevel", "ChargingScheduleMaxPeriods", "ChargingScheduleAllowedChargingRateUnit")


class Dialect16:
    """See Dialect."""

    version: Version = "1.6"

    def answer(self, station: str, call: Call, desk: Desk, *, now: datetime) -> Answer | None:
        """See Dialect."""
        told = call.payload
        if call.action in _NOTED:
            return {}, ()
        if call.action == "BootNotification":
            booted = Booted(f"{told['chargePointVendor']} {told['chargePointModel']}")
            return {"status": "Accepted", "currentTime": stamp(now), "interval": desk.heartbeat_s}, (booted,)
        if call.action == "Heartbeat":
            return {"currentTime": stamp(now)}, ()
        if call.action == "Authorize":
            return {"idTagInfo": _tag_info(told["idTag"], desk)}, ()
        if call.action == "StatusNotification":
            at = moment(told["timestamp"]) if "timestamp" in told else None
            return {}, (Changed(told["connectorId"], _STATES[told["status"]], at),)
        if call.action == "StartTransaction":
            return _started(station, told, desk, now)
        if call.action == "StopTransaction":
            info = {"idTagInfo": _tag_info(told["idTag"], desk)} if "idTag" in told else {}
            over = Over(str(told["transactionId"]), None, float(told["meterStop"]))
            return info, (*metered(None, told.get("transactionData", []), over.transaction), over)
        if call.action == "MeterValues":
            transaction = str(told["transactionId"]) if "transactionId" in told else None
            plug = told["connectorId"]
            began = () if transaction is None else (Began(plug, transaction),)
            return {}, (*began, *metered(plug, told["meterValue"], transaction))
        return None

    def ask_abilities(self) -> Request:
        """See Dialect."""
        return Request("GetConfiguration", {"key": list(_KEYS)})

    def abilities(self, payload: Payload) -> Abilities:
        """See Dialect."""
        told = {each["key"]: each.get("value", "") for each in payload.get("configurationKey", [])}
        units = told.get(_KEYS[2], "Current")
        return Abilities(
            stack=whole(told.get(_KEYS[0]), Abilities.stack),
            periods=whole(told.get(_KEYS[1]), Abilities.periods),
            watts="Current" not in units and "Power" in units,
        )

    def sampling(self, desk: Desk) -> tuple[tuple[Request, ...], ...]:
        """See Dialect."""
        lists = tuple(_change("MeterValuesSampledData", ",".join(each)) for each in MEASURANDS)
        return (_change("MeterValueSampleInterval", str(desk.sample_s)),), lists

    def accepted(self, request: Request, payload: Payload) -> bool:
        """See Dialect."""
        return payload.get("status") in ("Accepted", "RebootRequired", "Scheduled")

    def profile(self, payload: Payload) -> Request:
        """See Dialect."""
        return Request("SetChargingProfile", payload)

    def make_room(self, payload: Payload) -> Request | None:
        """See Dialect. One of the same level and purpose is replaced (OCPP 1.6, 5.16)."""
        return None

    def stop(self, transaction: str) -> Request:
        """See Dialect."""
        return Request("RemoteStopTransaction", {"transactionId": int(transaction)})

    def availability(self, plug: int, *, operative: bool) -> Request:
        """See Dialect."""
        return Request("ChangeAvailability", {"connectorId": plug, "type": "Operative" if operative else "Inoperative"})

    def tell_again(self, plug: int) -> tuple[Request, ...]:
        """See Dialect."""
        kinds = ("StatusNotification", "MeterValues")
        return tuple(Request("TriggerMessage", {"requestedMessage": kind, "connectorId": plug}) for kind in kinds)


def _started(station: str, told: Payload, desk: Desk, now: datetime) -> Answer:
    """The same number for the same start: the answer to the first may have been lost (OCPP 1.6, 4.8)."""
    plug, tag = told["connectorId"], told["idTag"]
    if plug < 1:
        raise BadFrame("PropertyConstraintViolation", "/connectorId: a transaction is of one connector")
    moment(told["timestamp"])
    info = _tag_info(tag, desk)
    transaction = desk.number(station, plug, tag, told["timestamp"], told["meterStart"], now=now)
    began = Began(plug, str(transaction), tag, float(told["meterStart"]))
    return {"transactionId": transaction, "idTagInfo": info}, (began,)


def _tag_info(tag: str, desk: Desk) -> Payload:
    return {"status": "Accepted" if desk.tokens(tag) else "Invalid"}


def _change(key: str, value: str) -> Request:
    return Request("ChangeConfiguration", {"key": key, "value": value})
