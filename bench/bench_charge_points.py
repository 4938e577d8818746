"""An emulated charge point of two plugs that charge, with the profiles that our central system loads into it.

act : one second of it: vehicles, composite limits, sharing, meters. composite : the composite schedule of a day at one
plug, 97 periods of turns under a limit of the station and a lease. fit : how many of them act every second on one core,
without their messages.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from aggregator_agents.charging.chargepoint.clock import Time
from aggregator_agents.charging.chargepoint.device import Device
from aggregator_agents.charging.chargepoint.hardware import EmulatedCharger
from aggregator_agents.charging.chargepoint.profile_control import ProfileControl
from aggregator_agents.charging.chargepoint.profile_words import profile_in
from aggregator_agents.charging.chargepoint.settings import Arrival, ChargePointConfig
from aggregator_agents.charging.ocpp.frames import Payload, Version
from aggregator_agents.charging.ocpp.profiles import (
    Abilities,
    Setpoint,
    floor_profile,
    lease_profile,
    setpoint_profile,
    turns_profile,
)
from bench.measuring import Options, Row

VERSIONS: Final[tuple[Version, ...]] = ("1.6", "2.0.1", "2.1")
NOON: Final = datetime(2026, 1, 15, 12, tzinfo=UTC)
SECONDS: Final = 2_000
DAY_S: Final = 86_400


def run(options: Options) -> Iterator[Row]:
    for version in VERSIONS:
        device = charging(version)
        act_s = per_call(partial(act, device), SECONDS)
        composite_s = per_call(partial(composite, device), 10)
        assert [bay.hardware.signal_a for bay in device.bays.values()] == [16, 16]
        yield {
            "OCPP": version,
            "profiles": str(len(device.profiles.profiles)),
            "act ms": f"{act_s * 1e3:.3f}",
            "composite ms": f"{composite_s * 1e3:.1f}",
            "fit": f"{1 / act_s:.0f}",
        }


def act(device: Device, second: int) -> None:
    device.act(at(100 + second))


def composite(device: Device, _: int) -> None:
    assert len(device.schedule(1, DAY_S, at(100))) > 90


def charging(version: Version) -> Device:
    """At 16 A each, with a lease of an hour."""
    vehicles = tuple(Arrival(plug=plug, wants_wh=1e6) for plug in (1, 2))
    config = ChargePointConfig(id="bench", version=version, max_a=32, arrivals=vehicles)
    device = Device(
        config,
        EmulatedCharger(config.charger, start_s=0.0),
        ProfileControl(),
        begun_s=0.0,
        happened=lambda event: None,
    )
    for second in range(20):
        device.act(at(second))
        for plug, bay in device.bays.items():
            device.authorised(plug, bay.token or "", True, at(second))
    able = Abilities(stack=1, periods=100)
    payloads: list[Payload | None] = [turns_profile(version, plug, 2, 7, able) for plug in (1, 2)]
    payloads += [floor_profile(version, 7, able), lease_profile(version, (32, 32, 32), 3600, able, now=at(20).now)]
    for plug, bay in device.bays.items():
        assert bay.transaction is not None
        bay.transaction.number = plug
        name = str(plug) if version == "1.6" else bay.transaction.id
        payloads.append(setpoint_profile(version, Setpoint(plug, name, 16, 3600), able, now=at(20).now))
    for payload in payloads:
        assert payload is not None
        install(device, version, payload)
    for second in range(20, 100):
        device.act(at(second))
    return device


def install(device: Device, version: Version, payload: Payload) -> None:
    plug, words = (
        (payload["connectorId"], payload["csChargingProfiles"])
        if version == "1.6"
        else (payload["evseId"], payload["chargingProfile"])
    )
    device.install(profile_in(version, plug, words, now=at(20).now))


def per_call(call: Callable[[int], object], times: int) -> float:
    """[s]."""
    started = time.perf_counter()
    for each in range(times):
        call(each)
    return (time.perf_counter() - started) / times


def at(second: float) -> Time:
    return Time(second, NOON + timedelta(seconds=second))
