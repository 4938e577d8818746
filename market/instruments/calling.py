"""Called rights: awards that a contract pays, at its own price, instead of the auction."""

from collections.abc import Iterable
from fractions import Fraction

from api_spec.award import Award, OfferResult
from api_spec.period import MarketPeriod
from market.exact import in_money
from market.instruments.rights import Right


def at_contract_terms(awards: Iterable[Award], rights: Iterable[Right], delivery: MarketPeriod) -> tuple[Award, ...]:
    """The same awards, those of rights at what their contract pays for all of it; there is no uplift then."""
    called = {each.offer.id: each for each in rights}
    hours = Fraction(delivery.resolution.total_seconds()) / 3600
    return tuple(_called(award, called[award.offer], hours) if award.offer in called else award for award in awards)


def paid_by_market(awards: Iterable[Award]) -> tuple[Award, ...]:
    """Awards that the auction pays by its pricing rule."""
    return tuple(each for each in awards if each.contract is None)


def paid_as_awarded(results: Iterable[OfferResult], awards: Iterable[Award]) -> tuple[OfferResult, ...]:
    """Outcomes of offers, those of called rights with what their contract pays instead of the nodal price."""
    by_contract = {each.offer: each for each in awards if each.contract is not None}
    return tuple(
        each.model_copy(update={"payment_eur": award.payment_eur, "uplift_eur": award.uplift_eur})
        if (award := by_contract.get(each.id))
        else each
        for each in results
    )


def _called(award: Award, right: Right, hours: Fraction) -> Award:
    price = right.price_eur_per_mwh
    energy_mwh = sum(abs(w) for w in award.power_w) * hours / 10**6
    return award.model_copy(
        update={
            "contract": right.contract,
            "price_eur_per_mwh": tuple(price if w else price * 0 for w in award.power_w),
            "payment_eur": in_money(Fraction(price) * energy_mwh),
            "uplift_eur": in_money(Fraction(0)),
        }
    )
