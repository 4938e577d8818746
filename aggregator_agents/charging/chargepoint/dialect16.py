"""OCPP 1.6 as a charge point speaks it."""

from collections.abc import Callable
from functools import partial
from typing import Final

from aggregator_agents.charging.chargepoint.clock import Time
from aggregator_agents.charging.chargepoint.device import Device
from aggregator_agents.charging.chargepoint.dialect import MODEL, Wire, samples
from aggregator_agents.charging.chargepoint.events import Event, Meter, State, What
from aggregator_agents.charging.chargepoint.profile_words import periods_out, profile_in, purpose_in
from aggregator_agents.charging.chargepoint.profiles import STATION, ProfileRefused
from aggregator_agents.charging.ocpp.dialect import Request
from aggregator_agents.charging.ocpp.frames import BadFrame, Payload, Version, stamp

_ACCEPTED: Final = {"status": "Accepted"}
_REJECTED: Final = {"status": "Rejected"}
_REASONS: Final = {"DeAuthorized", "EVDisconnected", "HardReset", "SoftReset", "Reboot", "Remote", "Local"}


class Dialect16:
    """For one device."""

    version: Version = "1.6"

    def __init__(self, device: Device, wire: Wire) -> None:
        """Speaks for `device`."""
        self._device, self._wire = device, wire
        self._answers: dict[str, Callable[[Payload, Time], Payload]] = {
            "ChangeAvailability": self._change_availability,
            "ChangeConfiguration": self._change_configuration,
            "ClearChargingProfile": self._clear_charging_profile,
            "DataTransfer": lambda payload, time: {"status": "UnknownVendorId"},
            "GetCompositeSchedule": self._get_composite_schedule,
            "GetConfiguration": self._get_configuration,
            "RemoteStartTransaction": self._remote_start,
            "RemoteStopTransaction": self._remote_stop,
            "Reset": self._reset,
            "SetChargingProfile": self._set_charging_profile,
            "TriggerMessage": self._trigger,
        }

    def boot(self, *, reason: str) -> Request:
        """As Dialect; 1.6 has no reasons."""
        serial = self._device.config.id[:25]
        words = {"chargePointVendor": "flexmarket", "chargePointModel": MODEL, "chargePointSerialNumber": serial}
        return Request("BootNotification", words)

    def message(self, event: Event, *, offline: bool) -> Request | None:
        """As Dialect."""
        match event.what:
            case What.STATE:
                return Request("StatusNotification", self._status(event))
            case What.AUTHORIZING:
                return Request("Authorize", {"idTag": event.token})
            case What.STARTED:
                return Request(
                    "StartTransaction",
                    {
                        "connectorId": event.plug,
                        "idTag": event.token,
                        "meterStart": round(event.meter.register_wh),
                        "timestamp": stamp(event.meter.at),
                    },
                )
            case What.SAMPLED:
                return Request("MeterValues", self._meter_values(event))
            case What.ENDED:
                return Request("StopTransaction", self._stop(event))
        return None

    def answered(self, event: Event, answer: Payload, time: Time) -> None:
        """As Dialect."""
        if event.what is What.STARTED and event.transaction is not None:
            event.transaction.number = answer["transactionId"]
        if event.what in {What.AUTHORIZING, What.STARTED}:
            accepted = answer["idTagInfo"]["status"] == "Accepted"
            self._device.authorised(event.plug, event.token, accepted, time)

    def answer(self, action: str, payload: Payload, time: Time) -> Payload:
        """As Dialect."""
        if action not in self._answers:
            raise BadFrame("NotImplemented", action)
        return self._answers[action](payload, time)

    def _status(self, event: Event) -> Payload:
        code = "OverCurrentFailure" if event.state is State.FAULTED else "NoError"
        at = stamp(event.meter.at)
        return {"connectorId": event.plug, "errorCode": code, "status": event.state.value, "timestamp": at}

    def _meter_values(self, event: Event) -> Payload:
        words = {"connectorId": event.plug, "meterValue": [self._meter_value(event.meter, event.trigger)]}
        number = event.transaction.number if event.transaction is not None else None
        return words if number is None else words | {"transactionId": number}

    def _meter_value(self, meter: Meter, trigger: str) -> Payload:
        context = "Trigger" if trigger == "Trigger" else "Sample.Periodic"
        values = []
        for each in samples(meter, self._device.variables.measurands):
            words = {"value": f"{each.value:.3f}", "context": context, "measurand": each.measurand, "unit": each.unit}
            values.append(words if each.phase is None else words | {"phase": each.phase})
        return {"timestamp": stamp(meter.at), "sampledValue": values}

    def _stop(self, event: Event) -> Payload:
        transaction = event.transaction
        return {
            # A transaction that the central system never answered to has no number: -1, as for one it knows nothing of.
            "transactionId": -1 if transaction is None or transaction.number is None else transaction.number,
            "meterStop": round(event.meter.register_wh),
            "timestamp": stamp(event.meter.at),
            "reason": event.reason if event.reason in _REASONS else "Other",
        }

    def _set_charging_profile(self, payload: Payload, time: Time) -> Payload:
        try:
            self._device.install(profile_in("1.6", payload["connectorId"], payload["csChargingProfiles"], now=time.now))
        except ProfileRefused:
            return _REJECTED
        return _ACCEPTED

    def _clear_charging_profile(self, payload: Payload, time: Time) -> Payload:
        purpose = payload.get("chargingProfilePurpose")
        after = self._device.profiles.cleared(
            id=payload.get("id"),
            plug=payload.get("connectorId"),
            purpose=None if purpose is None else purpose_in(purpose),
            stack_level=payload.get("stackLevel"),
        )
        return _ACCEPTED if self._device.clear(after) else {"status": "Unknown"}

    def _get_composite_schedule(self, payload: Payload, time: Time) -> Payload:
        number, duration_s = payload["connectorId"], payload["duration"]
        if number not in {STATION, *self._device.bays}:
            return _REJECTED
        unit = payload.get("chargingRateUnit", "A")
        steps = self._device.schedule(number, duration_s, time)
        return _ACCEPTED | {
            "connectorId": number,
            "scheduleStart": stamp(time.now),
            "chargingSchedule": {
                "duration": duration_s,
                "startSchedule": stamp(time.now),
                "chargingRateUnit": unit,
                "chargingSchedulePeriod": periods_out(steps, unit, "1.6"),
            },
        }

    def _remote_start(self, payload: Payload, time: Time) -> Payload:
        words = payload.get("chargingProfile")
        profile = None if words is None else partial(profile_in, "1.6", words=words, now=time.now)
        try:
            bay = self._device.remote_start(payload.get("connectorId"), payload["idTag"], time, profile=profile)
        except ProfileRefused:
            return _REJECTED
        return _REJECTED if bay is None else _ACCEPTED

    def _remote_stop(self, payload: Payload, time: Time) -> Payload:
        return _ACCEPTED if self._device.remote_stop(str(payload["transactionId"]), time) else _REJECTED

    def _change_availability(self, payload: Payload, time: Time) -> Payload:
        if payload["connectorId"] not in {STATION, *self._device.bays}:
            return _REJECTED
        done = self._device.make_operative(payload["connectorId"], payload["type"] == "Operative")
        return _ACCEPTED if done else {"status": "Scheduled"}

    def _reset(self, payload: Payload, time: Time) -> Payload:
        self._wire.restart(f"{payload['type']}Reset")
        return _ACCEPTED

    def _trigger(self, payload: Payload, time: Time) -> Payload:
        plug = payload.get("connectorId", STATION)
        if plug not in {STATION, *self._device.bays}:
            return _REJECTED
        known: dict[str, Callable[[], None]] = {
            "BootNotification": self._wire.boot_again,
            "Heartbeat": self._wire.beat,
            "MeterValues": partial(self._device.tell, What.SAMPLED, plug, time),
            "StatusNotification": partial(self._device.tell, What.STATE, plug, time),
        }
        if payload["requestedMessage"] not in known:
            return {"status": "NotImplemented"}
        known[payload["requestedMessage"]]()
        return _ACCEPTED

    def _change_configuration(self, payload: Payload, time: Time) -> Payload:
        names = self._device.variables.named(key=payload["key"])
        if names is None:
            return {"status": "NotSupported"}
        return _ACCEPTED if self._device.variables.set(names, payload["value"]) else _REJECTED

    def _get_configuration(self, payload: Payload, time: Time) -> Payload:
        every = {names.key: (value, writable) for names, value, writable in self._device.variables if names.key}
        wanted = payload.get("key") or list(every)
        known = [{"key": key, "readonly": not every[key][1], "value": every[key][0]} for key in wanted if key in every]
        return {"configurationKey": known, "unknownKey": [key for key in wanted if key not in every]}
