"""Small cases that a reader can solve by hand, as the documents that `Case` reads."""

from itertools import pairwise
from typing import Any

from api_spec.case import Case
from api_spec.grid import Phase
from api_spec.result import LimitResult, PriceParts, Result

Document = dict[str, Any]


def bus(name: str, *, nominal_v: float = 10_000.0, min_pu: float = 0.5, max_pu: float = 1.5) -> Document:
    """A bus whose own voltage band is so wide that it does not matter."""
    return {"id": name, "nominal_v": nominal_v, "min_pu": min_pu, "max_pu": max_pu}


def line(name: str, start: str, end: str, **more: Any) -> Document:
    """A line of 1 + 1j ohm."""
    return {"id": name, "from": start, "to": end, "r_ohm": 1.0, "x_ohm": 1.0, **more}


def phase_line(name: str, start: str, end: str, *, r_ohm: float = 0.1, x_ohm: float = 0.0, **more: Any) -> Document:
    """A line of three conductors that do not see each other: each is r_ohm + j x_ohm."""
    r, x = ([[value if i == j else 0.0 for j in range(3)] for i in range(3)] for value in (r_ohm, x_ohm))
    return {"id": name, "from": start, "to": end, "r_ohm": r, "x_ohm": x, **more}


def load(at: str, *p_w: float, q_var: tuple[float, ...] | None = None, phase: Phase | None = None) -> Document:
    """Constant power per period."""
    return {"bus": at, "phase": phase, "p_w": list(p_w), "q_var": list(q_var or (0.0,) * len(p_w))}


def curve(
    name: str, at: str, *steps: tuple[int, float], count: int = 1, participant: str = "agg", **more: Any
) -> Document:
    """A curve offer of (power_w, price) steps, alike in every period."""
    terms = [{"power_w": [w] * count, "price_eur_per_mwh": price} for w, price in steps]
    return {"id": name, "participant": participant, "bus": at, "kind": "curve", "steps": terms, **more}


def block(name: str, at: str, power_w: tuple[int, ...], price: float, **more: Any) -> Document:
    """A block offer; all of its profile or nothing unless `min_activation` is given."""
    return {
        "id": name,
        "participant": "agg",
        "bus": at,
        "kind": "block",
        "power_w": list(power_w),
        "price_eur_per_mwh": price,
        **more,
    }


def envelope(
    name: str, at: str, power_w: tuple[list[int], list[int]], energy_wh: tuple[list[int], list[int]], price: float
) -> Document:
    """An envelope offer with (least, greatest) change of power and of running energy."""
    return {
        "id": name,
        "participant": "agg",
        "bus": at,
        "kind": "envelope",
        "power_w_min": power_w[0],
        "power_w_max": power_w[1],
        "energy_wh_min": energy_wh[0],
        "energy_wh_max": energy_wh[1],
        "price_eur_per_mwh": price,
    }


def chain(*buses: str) -> list[Document]:
    """Lines l1, l2, ... from each bus to the next."""
    return [line(f"l{k}", a, b) for k, (a, b) in enumerate(pairwise(buses), start=1)]


def document(
    *,
    lines: list[Document],
    baseline: list[Document],
    requests: list[Document] | None = None,
    offers: list[Document] | None = None,
    transformers: list[Document] | None = None,
    buses: list[Document] | None = None,
    resolution: str = "PT1H",
    energy: list[float] | None = None,
    voltage_pu: float = 1.0,
    phases: int = 1,
) -> Document:
    """A case file behind bus "s"; its buses are those that lines and transformers name."""
    named = sorted({end for each in [*lines, *(transformers or [])] for end in (each["from"], each["to"])})
    case: Document = {
        "format": "flexmarket-case/1",
        "name": "small",
        "market_period": {
            "start": "2026-01-15T16:00:00+01:00",
            "resolution": resolution,
            "count": len(baseline[0]["p_w"]),
        },
        "network": {
            "name": "small",
            "phases": phases,
            "source": {"bus": "s", "voltage_pu": voltage_pu},
            "buses": buses or [bus(name) for name in named],
            "lines": lines,
            "transformers": transformers or [],
        },
        "baseline": baseline,
        "requests": requests or [],
        "offers": offers or [],
    }
    return case if energy is None else {**case, "energy_price_eur_per_mwh": energy}


def case(**parts: Any) -> Case:
    """A valid case of such a document."""
    return Case.model_validate(document(**parts))


def price(result: Result, at: str, phase: Phase | None = None) -> PriceParts:
    """Nodal prices of a bus, or of one phase of a bus of a three-phase network."""
    parts = result.prices_eur_per_mwh[at]
    if isinstance(parts, PriceParts):
        assert phase is None
        return parts
    assert phase is not None
    return parts[phase]


def limit(result: Result, request: str) -> LimitResult:
    """The only limit of a request that the result tells about."""
    (found,) = [each for each in result.limits if each.request == request]
    return found
