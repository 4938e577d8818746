"""Numbers, requests and times in the words of a control room."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from itertools import groupby

from api_spec.flexibility import FlexRequest
from api_spec.period import MarketPeriod

_MINUS = "\u2212"
_THIN = "\u202f"


def number(value: float | Decimal, places: int = 1) -> str:
    """`12 345.6` with thin spaces and a true minus sign."""
    text = f"{value:,.{places}f}".replace(",", _THIN)
    return text.replace("-", _MINUS) if any(digit in text for digit in "123456789") else text.removeprefix("-")


def power(watts: float) -> str:
    """A power, in kW; below 1 kW in W, from 10 MW on in MW."""
    if 0 < abs(watts) < 1e3:
        return f"{number(watts, 0)} W"
    return f"{number(watts / 1e6, 2)} MW" if abs(watts) >= 1e7 else f"{number(watts / 1e3)} kW"


def energy(watt_hours: float) -> str:
    """An energy, in kWh or, from 10 MWh on, in MWh."""
    return f"{number(watt_hours / 1e6, 2)} MWh" if abs(watt_hours) >= 1e7 else f"{number(watt_hours / 1e3)} kWh"


def price(eur_per_mwh: float | Decimal) -> str:
    """A price per MWh."""
    return f"{number(eur_per_mwh, 2)} EUR/MWh"


def money(eur: Decimal) -> str:
    """An amount, to the cent; smaller ones to the four decimals that are kept."""
    places = 4 if 0 < abs(eur) < Decimal("0.1") else 2
    return f"{number(eur, places)} EUR"


def quantity(value: float, unit: str) -> str:
    """A limit or a load in its own unit (A, W, var, pu)."""
    match unit:
        case "W":
            return power(value)
        case "var":
            return f"{number(value / 1e3)} kvar"
        case "pu":
            return f"{number(value, 4)} pu"
        case _:
            return f"{number(value)} {unit}"


def breach(relative: float) -> str:
    """A breach of a limit, relative to it; what nobody could measure is said as a bound."""
    return f"{number(100 * relative, 2)} %" if relative >= 1e-4 else "below 0.01 %"


def away(moment: datetime, now: datetime) -> str:
    """How far off a moment is: `in 2 h 05 min`, `3 days ago`."""
    distance = abs(moment - now)
    minutes = int(distance / timedelta(minutes=1))
    if distance >= timedelta(days=2):
        text = f"{distance.days} days"
    elif minutes >= 60:
        text = f"{minutes // 60} h {minutes % 60:02d} min"
    else:
        text = f"{minutes} min"
    return f"in {text}" if moment > now else f"{text} ago"


def asked(request: FlexRequest) -> str:
    """What a request asks for, in a sentence; not what its DSO would pay."""
    match request.kind:
        case "congestion":
            return f"current at most {_range(request.limit_a, 'A')}"
        case "capacity":
            parts = [("import", request.import_limit_w), ("export", request.export_limit_w)]
            return ", ".join(f"{way} at most {_range(limit, 'W')}" for way, limit in parts if limit is not None)
        case "voltage":
            band = [("at least", request.min_pu), ("at most", request.max_pu)]
            return "voltage " + " and ".join(f"{how} {number(end, 3)} pu" for how, end in band if end is not None)
        case "unbalance":
            return f"voltage unbalance at most {number(100 * request.max_vuf, 2)} %"
        case "losses":
            return "fewer losses"
        case "reactive":
            return f"reactive power at most {_range(request.limit_var, 'var')}"
        case "power":
            return f"change of consumption {_range(request.power_w, 'W')}"


def place(request: FlexRequest) -> str:
    """Where a request applies."""
    element = getattr(request, "element", None)
    if element is not None:
        return str(element)
    buses = getattr(request, "buses", "all")
    if buses == "all":
        return "whole network" if request.kind == "losses" else "all buses"
    if isinstance(buses, str):
        return buses
    return ", ".join(buses) if len(buses) <= 4 else f"{', '.join(buses[:3])} and {len(buses) - 3} more"


def spans(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """Stretches of set flags as (first, first not set any more)."""
    stretches = [(on, [at for at, _ in group]) for on, group in groupby(enumerate(flags), key=lambda each: each[1])]
    return [(at[0], at[-1] + 1) for on, at in stretches if on]


def hours(period: MarketPeriod, flags: Sequence[bool] | None, zone: tzinfo) -> str:
    """When something holds, in local time: `17:15 to 20:00`, or `all periods`."""
    if flags is None or all(flags):
        return "all periods"
    edges = [each.astimezone(zone) for each in (*period.starts(), period.end)]
    found = [f"{edges[first]:%H:%M} to {edges[after]:%H:%M}" for first, after in spans(flags)]
    return ", ".join(found) if len(found) <= 3 else f"{', '.join(found[:2])} and {len(found) - 2} more"


def _range(limit: float | Sequence[float], unit: str) -> str:
    if not isinstance(limit, Sequence):
        return quantity(limit, unit)
    low, high = min(limit), max(limit)
    return quantity(low, unit) if low == high else f"{quantity(low, unit)} to {quantity(high, unit)}"
