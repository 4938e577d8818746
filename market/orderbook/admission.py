"""What the market takes into an auction's book; every refusal names the place in the message and the reason."""

from collections.abc import Collection, Iterable

from pydantic import ValidationError

from api_spec.auction import Auction
from api_spec.case import Case, Injection
from api_spec.defects import Defect, defects_of
from api_spec.flexibility import FlexOffer, FlexRequest, PriceSeries
from api_spec.grid import Network
from api_spec.metering import BaselineNomination, Forecast
from api_spec.units import Message, series
from market.errors import BaselineMissing, NotAdmitted


def admit_request(request: FlexRequest, auction: Auction, network: Network) -> None:
    """Raise NotAdmitted where a request does not fit the auction's network and delivery period."""
    _fits(auction, network, "requests", request)


def admit_offer(offer: FlexOffer, auction: Auction, network: Network, nominated: Collection[str]) -> None:
    """Raise NotAdmitted where an offer does not fit network, delivery period or product.

    nominated : buses for which the participant has nominated a baseline. Raises BaselineMissing where the offer is at
    none of them: without a baseline there is nothing to measure its delivery against.
    """
    _fits(auction, network, "offers", offer)
    defects = [Defect(pointer, reason) for pointer, reason in _product_defects(offer, auction)]
    if defects:
        raise NotAdmitted(tuple(defects))
    if offer.bus not in nominated:
        raise BaselineMissing(auction.id, offer.bus)


def admit_forecast(forecast: Forecast, auction: Auction, network: Network) -> None:
    """Raise NotAdmitted where a forecast does not fit the auction's network and delivery period."""
    _check(auction, network, baseline=forecast.injections, renamed=("/baseline", "/injections"))


def admit_baseline(nomination: BaselineNomination, auction: Auction, network: Network) -> None:
    """Raise NotAdmitted where a nominated baseline does not fit the auction's network and delivery period."""
    drawn = tuple(
        Injection(bus=each.bus, p_w=tuple(map(float, each.power_w)), q_var=(0.0,) * auction.delivery.count)
        for each in nomination.buses
    )
    _check(auction, network, baseline=drawn, renamed=("/baseline", "/buses"))


def _fits(auction: Auction, network: Network, part: str, message: FlexOffer | FlexRequest) -> None:
    if message.kind == "block":
        message = message.model_copy(update={"requires": None})  # told apart by the product's rules
    _check(auction, network, renamed=(f"/{part}/0", ""), **{part: (message,)})


def _check(auction: Auction, network: Network, *, renamed: tuple[str, str], **part: tuple[Message, ...]) -> None:
    """The checks of a case, on a case that holds only one part. renamed : its place there, and in the message."""
    document = {name: [each.model_dump(mode="json") for each in messages] for name, messages in part.items()}
    try:
        Case.model_validate({"name": auction.id, "market_period": auction.delivery, "network": network, **part})
    except ValidationError as failure:
        there, here = renamed
        found = defects_of(failure, document)
        places = (Defect(here + each.pointer.removeprefix(there), each.reason) for each in found)
        raise NotAdmitted(
            tuple(Defect(p.replace("/p_w", "/power_w") if here == "/buses" else p, r) for p, r in places)
        ) from failure


def _product_defects(offer: FlexOffer, auction: Auction) -> Iterable[tuple[str, str]]:
    if offer.kind == "block":
        if offer.requires is not None:
            yield "/requires", "an auction's offers cannot require one another; a case file's can"
        bounds = [("/power_w", offer.power_w)]
        prices: list[tuple[str, PriceSeries]] = [("/price_eur_per_mwh", offer.price_eur_per_mwh)]
    elif offer.kind == "curve":
        parts = [(f"/steps/{at}", step.power_w, step.price_eur_per_mwh) for at, step in enumerate(offer.steps)]
        bounds = [(f"{place}/power_w", powers) for place, powers, _ in parts]
        prices = [(f"{place}/price_eur_per_mwh", price) for place, _, price in parts]
    else:
        bounds = [("/power_w_min", offer.power_w_min), ("/power_w_max", offer.power_w_max)]
        prices = [("/price_eur_per_mwh", offer.price_eur_per_mwh)]
    least, cap = auction.product.min_power_w, auction.product.price_cap_eur_per_mwh
    for place, powers in bounds:
        if any(0 < abs(w) < least for w in powers):
            yield place, f"the product trades {least} W or more"
    for place, price in prices:
        if any(each > cap for each in series(price, auction.delivery.count)):
            yield place, f"the product's price cap is {cap} EUR/MWh"
