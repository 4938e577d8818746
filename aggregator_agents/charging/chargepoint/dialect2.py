"""OCPP 2.0.1 and 2.1 as a charge point speaks them; what only 2.1 has says so."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal

from aggregator_agents.charging.chargepoint.clock import Time
from aggregator_agents.charging.chargepoint.device import Device
from aggregator_agents.charging.chargepoint.dialect import MODEL, Wire, samples
from aggregator_agents.charging.chargepoint.events import Event, Meter, State, Transaction, What
from aggregator_agents.charging.chargepoint.profile_words import periods_out, profile_in, purpose_in, update_in
from aggregator_agents.charging.chargepoint.profiles import STATION, ProfileRefused, Purpose
from aggregator_agents.charging.chargepoint.variables import get_variables, set_variables
from aggregator_agents.charging.hardware import VehicleFacts
from aggregator_agents.charging.ocpp.dialect import Request
from aggregator_agents.charging.ocpp.frames import BadFrame, Payload, Version, stamp
from aggregator_agents.fleet import PHASE_V

_ACCEPTED: Final = {"status": "Accepted"}
_CONNECTORS: Final = {
    State.AVAILABLE: "Available",
    State.UNAVAILABLE: "Unavailable",
    State.FAULTED: "Faulted",
}
_CHARGING: Final = {
    State.CHARGING: "Charging",
    State.SUSPENDED_EV: "SuspendedEV",
    State.SUSPENDED_EVSE: "SuspendedEVSE",
}
_REASONS: Final = {"DeAuthorized", "EVDisconnected", "ImmediateReset", "Reboot", "Remote", "Local"}
_MODES: Final = {1: "AC_single_phase", 2: "AC_two_phase", 3: "AC_three_phase"}


class Dialect2:
    """For one device."""

    def __init__(self, device: Device, wire: Wire, version: Literal["2.0.1", "2.1"]) -> None:
        """Speaks for `device`."""
        self._device, self._wire = device, wire
        self.version: Version = version
        self._answers: dict[str, Callable[[Payload, Time], Payload]] = {
            "ChangeAvailability": self._change_availability,
            "ClearChargingProfile": self._clear_charging_profile,
            "DataTransfer": lambda payload, time: {"status": "UnknownVendorId"},
            "GetCompositeSchedule": self._get_composite_schedule,
            "GetVariables": lambda payload, time: get_variables(device.variables, payload),
            "RequestStartTransaction": self._request_start,
            "RequestStopTransaction": self._request_stop,
            "Reset": self._reset,
            "SetChargingProfile": self._set_charging_profile,
            "SetVariables": lambda payload, time: set_variables(device.variables, payload),
            "TriggerMessage": self._trigger,
        }
        if version == "2.1":
            self._answers["UpdateDynamicSchedule"] = self._update_dynamic_schedule

    def boot(self, *, reason: str) -> Request:
        """As Dialect."""
        station = {"vendorName": "flexmarket", "model": MODEL, "serialNumber": self._device.config.id[:25]}
        return Request("BootNotification", {"reason": reason, "chargingStation": station})

    def message(self, event: Event, *, offline: bool) -> Request | None:
        """As Dialect."""
        match event.what:
            case What.STATE:
                return Request("StatusNotification", _status(event))
            case What.AUTHORIZING:
                return Request("Authorize", {"idToken": _token(event.token)})
            case What.NEEDING if event.facts is not None:
                return Request("NotifyEVChargingNeeds", self._needs(event.plug, event.facts, event))
            case What.PULLING:
                return Request("PullDynamicScheduleUpdate", {"chargingProfileId": event.profile})
            case What.SAMPLED if event.transaction is None or event.trigger == "Trigger":
                return Request("MeterValues", {"evseId": event.plug, "meterValue": self._meter_values(event)})
            case What.STARTED | What.UPDATED | What.SAMPLED | What.ENDED if event.transaction is not None:
                return Request("TransactionEvent", self._transaction(event, event.transaction, offline=offline))
        return None

    def answered(self, event: Event, answer: Payload, time: Time) -> None:
        """As Dialect."""
        if event.what is What.PULLING:
            if answer["status"] == "Accepted" and "scheduleUpdate" in answer:
                self._update(event.profile, answer["scheduleUpdate"], time)
        elif event.what in {What.AUTHORIZING, What.STARTED} and "idTokenInfo" in answer:
            accepted = answer["idTokenInfo"]["status"] == "Accepted"
            self._device.authorised(event.plug, event.token, accepted, time)

    def answer(self, action: str, payload: Payload, time: Time) -> Payload:
        """As Dialect."""
        if action not in self._answers:
            raise BadFrame("NotImplemented", action)
        return self._answers[action](payload, time)

    def _transaction(self, event: Event, own: Transaction, *, offline: bool) -> Payload:
        info: Payload = {"transactionId": own.id}
        if event.what is What.ENDED:
            info["stoppedReason"] = event.reason if event.reason in _REASONS else "Other"
        else:
            info["chargingState"] = _CHARGING.get(event.state, "EVConnected")
        if own.remote_start is not None and event.what is What.STARTED:
            info["remoteStartId"] = own.remote_start
        kinds = {What.STARTED: "Started", What.ENDED: "Ended"}
        words: Payload = {
            "eventType": kinds.get(event.what, "Updated"),
            "timestamp": stamp(event.meter.at),
            "triggerReason": event.trigger,
            "seqNo": event.seq,
            "offline": offline,
            "transactionInfo": info,
            "evse": {"id": event.plug, "connectorId": 1},
            "meterValue": self._meter_values(event),
        }
        return words | ({"idToken": _token(event.token)} if event.what is What.STARTED else {})

    def _meter_values(self, event: Event) -> list[Payload]:
        contexts = {What.STARTED: "Transaction.Begin", What.ENDED: "Transaction.End", What.SAMPLED: "Sample.Periodic"}
        context = "Trigger" if event.trigger == "Trigger" else contexts.get(event.what, "Other")
        return [self._meter_value(event.meter, context)]

    def _meter_value(self, meter: Meter, context: str) -> Payload:
        values = []
        # An instant without any value would break the schema.
        wanted = self._device.variables.measurands | {"Energy.Active.Import.Register"}
        for each in samples(meter, wanted):
            words = {"value": round(each.value, 3), "context": context, "measurand": each.measurand}
            words |= {"unitOfMeasure": {"unit": each.unit}}
            values.append(words if each.phase is None else words | {"phase": each.phase})
        return {"timestamp": stamp(meter.at), "sampledValue": values}

    def _needs(self, plug: int, facts: VehicleFacts, event: Event) -> Payload:
        """What an ISO 15118 vehicle asks for. In 2.1 one that feeds back says so, and how full it is."""
        vehicle = self._device.bays[plug].hardware.vehicle
        phases = 3 if vehicle is None else vehicle.vehicle.phases
        stored_wh = facts.stored_wh or 0.0
        needs: dict[str, Any] = {"requestedEnergyTransfer": _MODES[phases]}
        if facts.departs is not None:
            needs["departureTime"] = stamp(facts.departs)
        needs["acChargingParameters"] = {
            "energyAmount": round(facts.energy_wh or 0.0),
            "evMinCurrent": facts.min_a or 0,
            "evMaxCurrent": facts.max_a or 0,
            "evMaxVoltage": round(PHASE_V),
        }
        if self.version == "2.1" and facts.discharge_a:
            needs["requestedEnergyTransfer"] = "AC_BPT"
            needs["v2xChargingParameters"] = {
                "minChargeCurrent": facts.min_a or 0,
                "maxChargeCurrent": facts.max_a or 0,
                "maxDischargeCurrent": facts.discharge_a,
                "evTargetEnergyRequest": round(facts.energy_wh or 0.0),
                # To empty and to full: less than nothing, since it is not empty (ISO 15118-20, 8.3.5.4).
                "evMinEnergyRequest": -round(stored_wh),
                "evMaxEnergyRequest": round((facts.battery_wh or stored_wh) - stored_wh),
            }
        return {"evseId": plug, "chargingNeeds": needs}

    def _set_charging_profile(self, payload: Payload, time: Time) -> Payload:
        words = payload["chargingProfile"]
        try:
            if words["chargingProfilePurpose"] == Purpose.TX and "transactionId" not in words:
                raise ProfileRefused("MissingParam")
            self._device.install(profile_in(self.version, payload["evseId"], words, now=time.now))
        except ProfileRefused as refused:
            return _rejected(refused)
        return _ACCEPTED

    def _update_dynamic_schedule(self, payload: Payload, time: Time) -> Payload:
        try:
            self._update(payload["chargingProfileId"], payload["scheduleUpdate"], time)
        except ProfileRefused as refused:
            return _rejected(refused)
        return _ACCEPTED

    def _update(self, id: int, words: Payload, time: Time) -> None:
        self._device.update(id, partial(update_in, words), time)

    def _clear_charging_profile(self, payload: Payload, time: Time) -> Payload:
        criteria = payload.get("chargingProfileCriteria", {})
        purpose = criteria.get("chargingProfilePurpose")
        try:
            after = self._device.profiles.cleared(
                id=payload.get("chargingProfileId"),
                plug=criteria.get("evseId"),
                purpose=None if purpose is None else purpose_in(purpose),
                stack_level=criteria.get("stackLevel"),
            )
        except ProfileRefused:
            return {"status": "Unknown"}
        return _ACCEPTED if self._device.clear(after) else {"status": "Unknown"}

    def _get_composite_schedule(self, payload: Payload, time: Time) -> Payload:
        number, duration_s = payload["evseId"], payload["duration"]
        if number not in {STATION, *self._device.bays}:
            return _rejected(ProfileRefused("UnknownEvse"))
        unit = payload.get("chargingRateUnit", "A")
        return _ACCEPTED | {
            "schedule": {
                "evseId": number,
                "duration": duration_s,
                "scheduleStart": stamp(time.now),
                "chargingRateUnit": unit,
                "chargingSchedulePeriod": periods_out(
                    self._device.schedule(number, duration_s, time), unit, self.version
                ),
            }
        }

    def _request_start(self, payload: Payload, time: Time) -> Payload:
        words, token = payload.get("chargingProfile"), payload["idToken"]["idToken"]
        profile = None if words is None else partial(profile_in, self.version, words=words, now=time.now)
        try:
            bay = self._device.remote_start(
                payload.get("evseId"), token, time, number=payload["remoteStartId"], profile=profile
            )
        except ProfileRefused as refused:
            return _rejected(refused)
        if bay is None:
            return {"status": "Rejected"}
        return _ACCEPTED if bay.transaction is None else _ACCEPTED | {"transactionId": bay.transaction.id}

    def _request_stop(self, payload: Payload, time: Time) -> Payload:
        return _ACCEPTED if self._device.remote_stop(payload["transactionId"], time) else {"status": "Rejected"}

    def _change_availability(self, payload: Payload, time: Time) -> Payload:
        plug = payload.get("evse", {"id": STATION})["id"]
        if plug not in {STATION, *self._device.bays}:
            return {"status": "Rejected"}
        done = self._device.make_operative(plug, payload["operationalStatus"] == "Operative")
        return _ACCEPTED if done else {"status": "Scheduled"}

    def _reset(self, payload: Payload, time: Time) -> Payload:
        """Of the whole station only; OnIdle waits for no one here, because a station that has to reset is not idle."""
        if "evseId" in payload:
            return _rejected(ProfileRefused("UnsupportedRequest"))
        if payload["type"] == "OnIdle" and any(bay.transaction for bay in self._device.bays.values()):
            return _rejected(ProfileRefused("TxInProgress"))
        self._wire.restart("ImmediateReset")
        return _ACCEPTED

    def _trigger(self, payload: Payload, time: Time) -> Payload:
        plug = payload.get("evse", {"id": STATION})["id"]
        if plug not in {STATION, *self._device.bays}:
            return {"status": "Rejected"}
        known: dict[str, Callable[[], None]] = {
            "BootNotification": self._wire.boot_again,
            "Heartbeat": self._wire.beat,
            "MeterValues": partial(self._device.tell, What.SAMPLED, plug, time),
            "TransactionEvent": partial(self._device.tell, What.UPDATED, plug, time),
            "StatusNotification": partial(self._device.tell, What.STATE, plug, time),
        }
        if payload["requestedMessage"] not in known:
            return {"status": "NotImplemented"}
        known[payload["requestedMessage"]]()
        return _ACCEPTED


def _status(event: Event) -> Payload:
    status = _CONNECTORS.get(event.state, "Occupied")
    return {"timestamp": stamp(event.meter.at), "connectorStatus": status, "evseId": event.plug, "connectorId": 1}


def _token(token: str) -> Payload:
    return {"idToken": token, "type": "Local"}


def _rejected(refused: ProfileRefused) -> Payload:
    return {"status": "Rejected", "statusInfo": {"reasonCode": refused.reason}}
