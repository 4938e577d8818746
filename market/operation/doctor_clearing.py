"""Whether clearing works here: a case whose answer is known by hand, through the power flow and both solvers."""

import time
from collections.abc import Iterator
from decimal import Decimal
from importlib.metadata import version
from typing import Any, Final

from api_spec.case import Case
from market.clearing import clear
from market.errors import FlexmarketError
from market.operation.finding import Finding, ok, problem

_AREA: Final = "clearing"
_KNOWN: Final[dict[str, Any]] = {
    "format": "flexmarket-case/1",
    "name": "doctor",
    "market_period": {"start": "2026-01-15T16:00:00+01:00", "resolution": "PT1H", "count": 1},
    "network": {
        "name": "street",
        "phases": 1,
        "source": {"bus": "source", "voltage_pu": 1.0},
        "buses": [{"id": name, "nominal_v": 10_000.0, "min_pu": 0.5, "max_pu": 1.5} for name in ("source", "far")],
        "lines": [{"id": "cable", "from": "source", "to": "far", "r_ohm": 0.0, "x_ohm": 0.001}],
        "transformers": [],
    },
    "baseline": [{"bus": "far", "phase": None, "p_w": [28_000.0], "q_var": [0.0]}],
    "requests": [
        {
            "id": "limit",
            "dso": "dso",
            "kind": "capacity",
            "element": "cable",
            "import_limit_w": 20_000,
            "max_price_eur_per_mwh": 800,
        }
    ],
    "offers": [
        {
            "id": "offer",
            "participant": "homes",
            "bus": "far",
            "kind": "curve",
            "steps": [{"power_w": [-9_000], "price_eur_per_mwh": 120}],
        }
    ],
}
"""28 kW behind a limit of 20 kW, on a cable without losses; 9 kW less are offered at 120 EUR/MWh.

So 8 kW are accepted for an hour, at the offer's own price: 0.96 EUR.
"""
_ANSWER: Final = (-8_000, Decimal("0.96"))


def examine_clearing() -> Iterator[Finding]:
    """Clear the case and compare."""
    engines = f"power-grid-model {version('power-grid-model')}, HiGHS {version('highspy')}"
    started = time.perf_counter()
    try:
        result = clear(Case.model_validate(_KNOWN))
    except (FlexmarketError, ImportError, OSError) as failure:
        yield problem(_AREA, "known case", f"{type(failure).__name__}: {failure}", "install flexmarket anew")
        return
    took_ms = (time.perf_counter() - started) * 1000
    (offer,) = result.offers
    found = (offer.power_w[0], offer.payment_eur + offer.uplift_eur)
    if found == _ANSWER:
        yield ok(_AREA, "known case", f"8 kW for 0.96 EUR, as by hand, in {took_ms:.0f} ms ({engines})")
    else:
        seen = f"{found[0]} W for {found[1]} EUR instead of {_ANSWER[0]} W for {_ANSWER[1]} EUR ({engines})"
        yield problem(_AREA, "known case", seen, "do not clear with this installation; install it anew")
