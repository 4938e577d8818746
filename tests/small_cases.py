"""Small cases that a reader can solve by hand, as the documents that `Case` reads."""

from itertools import pairwise
from typing import Any

from api_spec.case import Case

Document = dict[str, Any]


def bus(name: str, *, nominal_v: float = 10_000.0, min_pu: float = 0.5, max_pu: float = 1.5) -> Document:
    """A bus whose own voltage band is so wide that it does not matter."""
    return {"id": name, "nominal_v": nominal_v, "min_pu": min_pu, "max_pu": max_pu}


def line(name: str, start: str, end: str, **more: Any) -> Document:
    """A line of 1 + 1j ohm."""
    return {"id": name, "from": start, "to": end, "r_ohm": 1.0, "x_ohm": 1.0, **more}


def load(at: str, *p_w: float, q_var: tuple[float, ...] | None = None) -> Document:
    """Constant power per period."""
    return {"bus": at, "p_w": list(p_w), "q_var": list(q_var or (0.0,) * len(p_w))}


def curve(name: str, at: str, *steps: tuple[int, float], count: int = 1, participant: str = "agg") -> Document:
    """A curve offer of (power_w, price) steps, alike in every period."""
    terms = [{"power_w": [w] * count, "price_eur_per_mwh": price} for w, price in steps]
    return {"id": name, "participant": participant, "bus": at, "kind": "curve", "steps": terms}


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
            "phases": 1,
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
