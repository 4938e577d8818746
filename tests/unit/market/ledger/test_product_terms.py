"""Products' terms in settlement: thresholds and sliding scales, uplift, and readings that never came."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_spec.product import Product
from api_spec.settlement import SettlementLine
from market.errors import ReadingsMissing
from market.ledger.lines import Inputs
from market.ledger.rules import PAYMENT_FACTOR, rules_of
from market.ledger.settlement import settle
from tests.unit.market.ledger.ledgers import LOT, NOW, auction, award


def scale(threshold: float, full: float | None = None) -> Product:
    return auction(delivery_threshold=threshold, full_payment_from=full).product


def factor(product: Product, delivered: int, of: int) -> Fraction:
    return PAYMENT_FACTOR[rules_of(product)](Fraction(delivered, of), product)


def line(metered_w: int | None, *, uplift: str = "0", missing: Any = "wait", **product: Any) -> SettlementLine:
    """4 kW less than a baseline of 10 kW was sold for one hour, at 100 EUR/MWh."""
    inputs = Inputs((award(-4000, uplift=uplift),), {LOT: (10_000,)}, {LOT: (metered_w,)}, missing=missing)
    ((only,),) = (each.lines for each in settle(auction(**product), inputs, at=NOW).statements)
    return only


@pytest.mark.parametrize(
    ("threshold", "full", "delivered", "expected"),
    [
        (0.0, None, 1, Fraction(1)),
        (0.75, None, 74, Fraction(0)),
        (0.75, None, 75, Fraction(1)),
        (0.8, 0.8, 80, Fraction(1)),
        (0.5, 1.0, 49, Fraction(0)),
        (0.5, 1.0, 50, Fraction(0)),
        (0.5, 1.0, 80, Fraction(3, 5)),
        (0.5, 1.0, 99, Fraction(49, 50)),
        (0.5, 1.0, 100, Fraction(1)),
        (0.0, 1.0, 80, Fraction(4, 5)),
        (0.6, 0.9, 70, Fraction(1, 3)),
    ],
)
def test_the_factor_is_exact(threshold: float, full: float | None, delivered: int, expected: Fraction) -> None:
    assert factor(scale(threshold, full), delivered, 100) == expected


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000), st.integers(0, 1000))
def test_delivering_more_never_lowers_the_factor(first: float, second: float, less: int, more: int) -> None:
    product = scale(min(first, second), max(first, second))
    low, high = sorted((less, more))

    assert 0 <= factor(product, low, 1000) <= factor(product, high, 1000) <= factor(product, 1000, 1000) == 1


def test_products_without_a_scale_keep_the_rules_of_uftp() -> None:
    assert rules_of(scale(0.0)) == rules_of(scale(0.0, 0.0)) == "uftp-3"
    assert rules_of(scale(0.0, 1.0)) == rules_of(scale(0.8)) == "uftp-3-scale-1"


def test_a_sliding_scale_by_hand() -> None:
    """3.2 of 4 kWh is 80 %: 0.6 x 3.2 kWh x 100 EUR/MWh = 0.192; the penalty for 0.8 kWh at 110 is 0.088."""
    settled = line(6800, delivery_threshold=0.5, full_payment_from=1.0)

    assert (settled.delivered_w, settled.deficiency_w, settled.payment_factor) == (-3200, 800, 0.6)
    assert (settled.payment_eur, settled.penalty_eur) == (Decimal("0.192"), Decimal("0.088"))
    assert settled.net_eur == Decimal("0.104")


def test_below_the_threshold_nothing_is_paid_and_the_penalty_stays() -> None:
    """2.9 of 4 kWh is below 75 %: minus 1.1 kWh at 110 EUR/MWh."""
    settled = line(7100, delivery_threshold=0.75, uplift="0.04")

    assert settled.payment_eur == settled.uplift_eur == 0
    assert settled.net_eur == Decimal("-0.121")


def test_uplift_is_an_amount_of_its_own_and_paid_for_what_is_delivered() -> None:
    """The award's 100 EUR/MWh hold 0.04 EUR of uplift for 4 kWh, so 90 are price; three quarters were delivered."""
    settled = line(7000, uplift="0.04")

    assert settled.price_eur_per_mwh == 90
    assert (settled.payment_eur, settled.uplift_eur) == (Decimal("0.27"), Decimal("0.03"))
    assert settled.net_eur == Decimal("0.27") + Decimal("0.03") - Decimal("0.11")


def test_a_missing_reading_is_waited_for() -> None:
    with pytest.raises(ReadingsMissing, match="agg-1 has no meter reading at lot"):
        line(None, missing="wait")


def test_a_missing_reading_counts_as_undelivered_with_the_penalty() -> None:
    """4 kWh at 110 EUR/MWh."""
    settled = line(None, missing="undelivered")

    assert (settled.basis, settled.delivered_w, settled.deficiency_w) == ("undelivered", 0, 4000)
    assert settled.net_eur == -settled.penalty_eur == Decimal("-0.44")


def test_a_missing_reading_counts_as_the_baseline_without_a_penalty() -> None:
    settled = line(None, missing="baseline")

    assert (settled.basis, settled.delivered_w, settled.metered_w) == ("baseline", 0, settled.baseline_w)
    assert settled.penalty_eur_per_mwh == settled.penalty_eur == settled.net_eur == 0


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1), st.integers(0, 9999))
def test_the_amounts_of_a_line_add_up(metered_w: int, low: float, high: float, uplift: int) -> None:
    bounds = {"delivery_threshold": min(low, high), "full_payment_from": max(low, high)}
    settled = line(metered_w, uplift=f"0.{uplift:04d}", **bounds)

    parts = settled.payment_eur + settled.uplift_eur - settled.penalty_eur + settled.adjustment_eur
    assert settled.net_eur == parts
