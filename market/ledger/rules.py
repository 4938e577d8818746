"""Settlement rules by version: which part of the payment for delivered energy is due.

Every statement names the version it was settled by, and is corrected by the same one. What was delivered and what is
missing is UFTP's (`delivery.py`) under all of them, and so is the penalty.

Under "uftp-3-scale-1" the payment depends on the share r = |delivered| / |ordered| of each line, that is of each bus
and period by itself: flexibility is paid per settlement period, a period that failed does not take the good ones with
it, and a late reading touches its own lines only. With a = delivery_threshold and b = full_payment_from (absent = a),
the factor on payment and uplift is

| share r       | factor            | a = b = 0.75      | a = 0.5, b = 1    | a = 0, b = 1 |
|---------------|-------------------|-------------------|-------------------|--------------|
| r < a         | 0                 | r = 0.74 -> 0     | r = 0.49 -> 0     |              |
| a <= r < b    | (r - a) / (b - a) |                   | r = 0.80 -> 0.6   | r = 0.8 -> 0.8 |
| r >= b        | 1                 | r = 0.75 -> 1     | r = 1.00 -> 1     | r = 1.0 -> 1 |

so that of 4 kWh ordered and 3.2 kWh delivered, between 50 and 100 %, 0.6 x 3.2 = 1.92 kWh are paid.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final, TypeAlias

from api_spec.product import Product
from api_spec.settlement import Rules

PaymentFactor: TypeAlias = Callable[[Fraction, Product], Fraction]
"""Share delivered of what was ordered, from 0 to 1 -> part of its payment that is due, from 0 to 1."""


def rules_of(product: Product) -> Rules:
    """The rules that a product's auctions are settled by."""
    scaled = product.delivery_threshold > 0 or (product.full_payment_from or 0) > 0
    return "uftp-3-scale-1" if scaled else "uftp-3"


def _all_that_was_delivered(share: Fraction, product: Product) -> Fraction:
    return Fraction(1)


def _sliding_scale(share: Fraction, product: Product) -> Fraction:
    threshold = _as_written(product.delivery_threshold)
    full = threshold if product.full_payment_from is None else _as_written(product.full_payment_from)
    if share >= full:
        return Fraction(1)
    return Fraction(0) if share < threshold else (share - threshold) / (full - threshold)


def _as_written(share: float) -> Fraction:
    """The decimal that a product says: 0.8 is 4/5, not the binary number nearest to it."""
    return Fraction(repr(share))


PAYMENT_FACTOR: Final[Mapping[Rules, PaymentFactor]] = {
    "uftp-3": _all_that_was_delivered,
    "uftp-3-scale-1": _sliding_scale,
}
