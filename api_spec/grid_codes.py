"""Grid codes: what a connection keeps when the DSO uses its right to dim.

Germany, section 14a EnWG: Bundesnetzagentur, determination BK6-22-300 of 27 November 2023, annex 1, clauses 2.4 (which
devices are controllable), 4.5.1 (controlled one by one) and 4.5.2 (through an energy management system). The part of
40 % and the simultaneity factors are what the annex presumes appropriate until another recommendation is in force.
"""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from api_spec.units import Message

DeviceKind: TypeAlias = Literal["charge_point", "heat_pump", "cooling", "storage"]
Control: TypeAlias = Literal["direct", "energy_management"]

KEPT_W: Final = 4_200
"""What every controllable device keeps (clause 4.5.1); only what can draw more is controllable (clause 2.4.1)."""
LARGE_W: Final = 11_000
"""Heat pumps and cooling above this keep a part of their rated power instead (clauses 4.5.1 and 4.5.2)."""
SIMULTANEITY_PERCENT: Final = {2: 80, 3: 75, 4: 70, 5: 65, 6: 60, 7: 55, 8: 50}
"""Factor by number of controllable devices (clause 4.5.2); 45 % from nine on."""
_GROUPED: Final[tuple[DeviceKind, ...]] = ("heat_pump", "cooling")


class Device(Message):
    """Devices of one kind behind a connection. rated_power_w : the most that each of them draws [W]."""

    kind: DeviceKind
    count: Annotated[int, Field(strict=True, ge=1, le=1000)] = 1
    rated_power_w: Annotated[int, Field(strict=True, ge=1, le=10**8)]


def controllable_w(devices: tuple[Device, ...]) -> tuple[tuple[DeviceKind, int], ...]:
    """Kind and rated power [W] of each controllable device.

    All heat pumps behind a connection are one device of their summed power, and so is all cooling; a charge point or
    storage is one of its own (clause 2.4.2). What cannot draw more than 4.2 kW is none.
    """
    grouped = [
        (kind, sum(each.count * each.rated_power_w for each in devices if each.kind == kind)) for kind in _GROUPED
    ]
    single = [
        (each.kind, each.rated_power_w) for each in devices if each.kind not in _GROUPED for _ in range(each.count)
    ]
    return tuple((kind, power) for kind, power in [*grouped, *single] if power > KEPT_W)


def guaranteed_minimum_w(devices: tuple[Device, ...], control: Control) -> int:
    """What the controllable devices of one connection keep together, P_min,14a [W].

    Controlled one by one, each keeps 4.2 kW; a heat pump or cooling of more than 11 kW keeps 40 % of its rated power.
    Through an energy management system of n devices, one keeps that (the largest such share) and each other one 4.2 kW
    times the simultaneity factor of n:

        P_min = max(4.2 kW, 0.4 P_heat, 0.4 P_cooling) + (n - 1) x factor(n) x 4.2 kW

    with the shares of 40 % only of groups above 11 kW. The annex leaves 4.2 kW out where there is such a group, whose
    share is more than that. Without a controllable device there is nothing to keep: 0.
    """
    found = controllable_w(devices)
    kept = [_share_w(power) if kind in _GROUPED and power > LARGE_W else KEPT_W for kind, power in found]
    if control == "direct" or len(found) <= 1:
        return sum(kept)
    factor = SIMULTANEITY_PERCENT.get(len(found), 45)
    return max(kept) + (len(found) - 1) * factor * KEPT_W // 100


def _share_w(rated_w: int) -> int:
    """40 % of a rated power, never rounded to less."""
    return -(-rated_w * 2 // 5)
