"""A market in which there is one of everything that has an id, and a second one of what can be deleted."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from pydantic import TypeAdapter

from api_spec.auction import AuctionTerms
from api_spec.case import Injection
from api_spec.client import MarketClient
from api_spec.dispute import DisputeTerms, LineId
from api_spec.flexibility import AnyOfferTerms, AnyRequestTerms
from api_spec.metering import BaselineNomination, BusPower
from api_spec.organisation import ClientTerms, OrganisationTerms
from api_spec.period import MarketPeriod
from api_spec.prequalification import PrequalificationTerms
from api_spec.product import Product
from api_spec.resource import ReferenceLoad, ResourceTerms, pseudonym
from api_spec.tariffs import BillTerms, TariffTerms
from api_spec.webhooks import WebhookTerms
from tests.contracted import bilateral
from tests.running_market import RunningMarket
from tests.street_auction import DELIVERY, LIMIT, Street, open_street

TARIFF = {
    "name": "homes",
    "network": "street",
    "zone": "Europe/Berlin",
    "valid_from": "2026-01-01T00:00:00+01:00",
    "components": [
        {"name": "energy", "kind": "energy", "price_eur_per_mwh": 100},
        {"name": "cpp", "kind": "critical_capacity", "price_eur_per_kw": 2, "interval": "PT1H", "notice": "PT12H"},
    ],
}
OFFER: AnyOfferTerms = TypeAdapter(AnyOfferTerms).validate_python(
    {"kind": "curve", "bus": "far", "steps": [{"power_w": [-1_000, -1_000], "price_eur_per_mwh": 120}]}
)
REQUEST: AnyRequestTerms = TypeAdapter(AnyRequestTerms).validate_python(LIMIT)


@dataclass(frozen=True)
class Everything:
    """clients : operator, DSO, aggregator. ids, spare : by the names of path parameters.

    The auction among `ids` is settled, the one among `spare` is open.
    """

    clients: tuple[MarketClient, MarketClient, MarketClient]
    ids: Mapping[str, str]
    spare: Mapping[str, str]


@asynccontextmanager
async def everything(market: RunningMarket) -> AsyncIterator[Everything]:
    """Play it over HTTP; the market must send webhooks, to private addresses, too."""
    async with open_street(market) as street:
        dso, own, operator = street.dso, street.aggregators[0], street.operator
        webhooks = [await own.create_webhook(WebhookTerms(url="http://127.0.0.1:9/events")) for _ in range(2)]
        await street.ask()
        await street.offer()
        (request,), (offer,) = await dso.requests(street.auction), await own.offers(street.auction)
        settled = {"auction": street.auction, "request": request.request.id, "offer": offer.offer.id}
        await street.clear(market)
        await street.settle(market)
        claim = DisputeTerms(
            version=1, lines=(LineId(bus="far", start=DELIVERY.start),), reason="the meter stood still"
        )
        dispute = await own.open_dispute(street.auction, claim)
        ids = {**settled, "dispute": dispute.id, **await _standing(street, operator)}
        used = BillTerms(
            start=DELIVERY.start, end=DELIVERY.end, participant=(await own.me()).id, bus="far", contracted_power_w=0
        )
        ids["bill"] = (await dso.make_bill(ids["tariff"], used)).id
        delivery = {"webhook": webhooks[0].id, "delivery": await _delivery(own, webhooks[0].id)}
        resources = [await own.register_resource(_resource(number)) for number in range(2)]
        applied = await own.apply_for(resources[0].id, PrequalificationTerms(product="evening"))
        ids |= {**delivery, "resource": resources[0].id, "prequalification": applied.id}
        spare = {**ids, **await _open(street), "webhook": webhooks[1].id, "resource": resources[1].id}
        yield Everything((operator, dso, own), ids, spare)


def _resource(number: int) -> ResourceTerms:
    return ResourceTerms(
        connection=pseudonym(f"87168712000001234{number}", key=b"the aggregator's own"),
        network="street",
        bus="far",
        capability="V1G",
        reducible_w=9_000,
        increasable_w=11_000,
    )


async def _standing(street: Street, operator: MarketClient) -> dict[str, str]:
    """A network's calendar and load, a product, a contract, a tariff, and an organisation nobody needs."""
    product = {"name": "evening", "price_cap_eur_per_mwh": 900, "penalty_eur_per_mwh": 100}
    await operator.register_product(Product.model_validate(product))
    load = Injection(bus="far", p_w=(2_000, 2_000), q_var=(0, 0))
    await street.dso.set_reference_load("street", ReferenceLoad(injections=(load,)))
    contract = await street.dso.propose_contract(bilateral(participant=(await street.aggregators[0].me()).id))
    tariff = await street.dso.register_tariff(TariffTerms.model_validate(TARIFF))
    account = await operator.register_organisation(OrganisationTerms(name="nobody", role="aggregator"))
    async with MarketClient(str(street.operator._http.base_url), account) as nobody:
        organisation = (await nobody.me()).id
        client = await nobody.add_client(organisation, ClientTerms(name="second"))
    return {
        "name": "street",
        "network": "street",
        "product": "evening",
        "contract": contract.id,
        "tariff": tariff.id,
        "organisation": organisation,
        "client": client.client_id,
    }


async def _open(street: Street) -> dict[str, str]:
    """An auction whose gate is open for ten years, with a request and an offer."""
    later = timedelta(days=3_650)
    delivery = MarketPeriod(start=DELIVERY.start + later, resolution=DELIVERY.resolution, count=2)
    terms = AuctionTerms(
        network="street",
        product=Product.model_validate({"name": "day", "price_cap_eur_per_mwh": 900, "penalty_eur_per_mwh": 100}),
        delivery=delivery,
        gate_closure=delivery.start - timedelta(hours=12),
    )
    auction = (await street.dso.open_auction(terms)).id
    request = await street.dso.submit_request(auction, REQUEST)
    own = street.aggregators[0]
    nomination = BaselineNomination(buses=(BusPower(bus="far", power_w=(10_000, 10_000)),))
    await own.nominate_baseline(auction, nomination)
    offer = await own.submit_offer(auction, OFFER)
    return {"auction": auction, "request": request.request.id, "offer": offer.offer.id}


async def _delivery(own: MarketClient, webhook: str) -> str:
    """The first delivery to a webhook, once there is one."""
    async with asyncio.timeout(20):
        while not (deliveries := await own.deliveries(webhook)):
            await asyncio.sleep(0.05)
    return deliveries[0].id
