"""Contracts of a street, as the documents that `AnyContractTerms` reads."""

from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from api_spec.contracts import AnyContractTerms, Contract

LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
_TERMS: TypeAdapter[AnyContractTerms] = TypeAdapter(AnyContractTerms)


def terms(kind: str, *, participant: str = "agg", network: str = "street", **more: Any) -> AnyContractTerms:
    """Terms at the far end of the street, valid for long, in Berlin's time."""
    common = {
        "kind": kind,
        "participant": participant,
        "network": network,
        "bus": "far",
        "zone": "Europe/Berlin",
        "valid_from": "2025-01-01T00:00:00Z",
    }
    return _TERMS.validate_python({**common, **more})


def bilateral(power_w: int = -5_000, price: float = 150, **more: Any) -> AnyContractTerms:
    """5 kW less at 150 EUR/MWh."""
    return terms("bilateral", power_w=power_w, activation_price_eur_per_mwh=price, **more)


def dimming(*rated_w: int, **more: Any) -> AnyContractTerms:
    """Charge points that may be dimmed for nothing, as a last resort."""
    devices = [{"kind": "charge_point", "rated_power_w": w} for w in rated_w or (11_000,)]
    return terms("dimming_obligation", devices=devices, **more)


def interruptible(firm_w: int = 4_000, non_firm_w: int = 10_000, **more: Any) -> AnyContractTerms:
    """A connection of which 4 kW are firm and 10 kW are not."""
    return terms(
        "interruptible_connection", **{"firm_w": firm_w, "non_firm_w": non_firm_w, "max_hours_per_year": 100, **more}
    )


def variable(max_power_w: int = 12_000, **more: Any) -> AnyContractTerms:
    """A maximum of 12 kW."""
    return terms("variable_capacity", max_power_w=max_power_w, **more)


def in_force(own: AnyContractTerms, name: str = "con-1") -> Contract:
    """A contract that was accepted long ago."""
    return Contract(id=name, version=1, dso="dso", terms=own, proposed_at=LONG_AGO, accepted_at=LONG_AGO)
