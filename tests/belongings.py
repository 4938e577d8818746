"""What everybody owns in the market of `tests/two_markets.py` beside auctions and orders, one of every kind.

Each function plays its part over HTTP, and keeps the id of each thing under its kind for those whose it is: what an
aggregator applies for, is promised, or disputes belongs to the DSO that decides or pays, too, and to an operator where
operators see everybody's.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from pydantic import TypeAdapter

from api_spec.calendar import Span
from api_spec.case import Injection
from api_spec.client import MarketClient
from api_spec.contracts import AnyContractTerms
from api_spec.dispute import DisputeTerms, LineId
from api_spec.metering import Calendar, MeterReadingTerms
from api_spec.prequalification import PrequalificationTerms
from api_spec.product import Product
from api_spec.resource import ReferenceLoad, ResourceTerms
from api_spec.tariffs import BillTerms, TariffTerms
from api_spec.webhooks import WebhookTerms
from tests.small_cases import Document

Clients: TypeAlias = Mapping[str, MarketClient]
Owns: TypeAlias = Mapping[str, dict[str, str]]

SIDES: Final = {"grid": ("homes", "parking"), "other grid": ("elsewhere",)}
"""The aggregators that take part on the network of each DSO."""
NETWORKS: Final = {"grid": "north", "other grid": "south"}
OPERATORS: Final = ("operator", "second operator")
HOUR: Final = timedelta(hours=1)
LONG_AGO: Final = "2025-01-01T00:00:00Z"
_CONTRACT: Final[TypeAdapter[AnyContractTerms]] = TypeAdapter(AnyContractTerms)


def product(name: str, **change: Any) -> Product:
    """One for the catalogue."""
    return Product.model_validate({"name": name, "price_cap_eur_per_mwh": 900, "penalty_eur_per_mwh": 100, **change})


def resource(network: str, connection: str) -> Document:
    """9 kW that can be reduced. connection : a letter, of which its reference is made."""
    return {
        "connection": connection * 16,
        "network": network,
        "bus": "far",
        "capability": "V1G",
        "reducible_w": 9_000,
        "increasable_w": 0,
    }


def contract(participant: str, network: str) -> Document:
    """A right to 1 kW less, which earns 5 cents per hour."""
    return {
        "kind": "bilateral",
        "participant": participant,
        "network": network,
        "bus": "far",
        "zone": "UTC",
        "valid_from": LONG_AGO,
        "power_w": -1_000,
        "activation_price_eur_per_mwh": 800,
        "availability_eur_per_mw_h": 50,
    }


def tariff(network: str) -> Document:
    """A price of energy and one of critical windows, an hour before which it is told."""
    return {
        "name": f"of {network}",
        "network": network,
        "zone": "UTC",
        "valid_from": LONG_AGO,
        "components": [
            {"kind": "energy", "name": "energy", "price_eur_per_mwh": 80},
            {
                "kind": "critical_capacity",
                "name": "critical",
                "price_eur_per_kw": 1,
                "interval": "PT15M",
                "notice": "PT1H",
            },
        ],
    }


async def before_auctions(clients: Clients, owns: Owns, *, now: datetime) -> None:
    """Webhooks, products, calendars, reference loads, resources, applications and meter history."""
    for name, client in clients.items():
        webhook = await client.create_webhook(WebhookTerms(url=f"https://{name.replace(' ', '-')}.example/events"))
        owns[name]["webhook"] = webhook.id
    for dso, network in NETWORKS.items():
        client = clients[dso]
        owns[dso]["product"] = (await client.register_product(product(f"plain_{network}"))).name
        await client.register_product(product(f"reserve_{network}", stage="reservation", direction="reduction"))
        await client.set_calendar(network, Calendar(zone="Europe/Copenhagen"))
        load = Injection(bus="far", p_w=(5_000,), q_var=(0,))
        await client.set_reference_load(network, ReferenceLoad(injections=(load,)))
    for dso, name in sides():
        network, client = NETWORKS[dso], clients[name]
        found = await client.register_resource(ResourceTerms.model_validate(resource(network, "a")))
        applied = await client.apply_for(found.id, PrequalificationTerms(product=f"plain_{network}"))
        owns[name]["resource"] = found.id
        owns[name]["prequalification"] = owns[dso]["prequalification"] = applied.id
        metered = {"network": network, "bus": "far", "start": now - HOUR, "resolution": HOUR, "power_w": (9_000,)}
        await client.submit_meter_reading(MeterReadingTerms.model_validate(metered))


async def after_clearing(clients: Clients, owns: Owns) -> None:
    """Contracts, in force, and tariffs with a bill for each aggregator."""
    for dso, network in NETWORKS.items():
        made = await clients[dso].register_tariff(TariffTerms.model_validate(tariff(network)))
        owns[dso]["tariff"] = made.id
    for dso, name in sides():
        me, network, client = (await clients[name].me()).id, NETWORKS[dso], clients[dso]
        proposed = await client.propose_contract(_CONTRACT.validate_python(contract(me, network)))
        await clients[name].accept_contract(proposed)
        _keep(owns, (name, dso), "contract", proposed.id)
        owns[name]["tariff"] = owns[dso]["tariff"]


async def after_settlement(clients: Clients, owns: Owns, auctions: tuple[str, str], *, start: datetime) -> None:
    """Disputes of the settled auctions, whose delivery began at `start`; availability that is paid; bills."""
    for (dso, name), auction in zip(sides(), (auctions[0], auctions[0], auctions[1]), strict=True):
        client, me = clients[name], (await clients[name].me()).id
        terms = DisputeTerms(version=1, lines=(LineId(bus="far", start=start),), reason="the meter was broken")
        opened = await client.open_dispute(auction, terms)
        _keep(owns, (name, dso), "dispute", opened.id)
        await clients[dso].pay_availability(owns[name]["contract"], Span(start=start + HOUR, end=start + 2 * HOUR))
        use = {"participant": me, "bus": "far", "contracted_power_w": 9_000}
        terms_of_bill = BillTerms.model_validate({**use, "start": start, "end": start + 2 * HOUR})
        bill = await clients[dso].make_bill(owns[dso]["tariff"], terms_of_bill)
        _keep(owns, (name, dso), "bill", bill.id)


async def at_last(clients: Clients, owns: Owns) -> None:
    """What is on its way to everybody's webhook."""
    for name, client in clients.items():
        first, *_ = await client.deliveries(owns[name]["webhook"])
        owns[name]["delivery"] = first.id


def sides() -> Iterator[tuple[str, str]]:
    """Every aggregator with its DSO."""
    for dso, names in SIDES.items():
        for name in names:
            yield dso, name


def _keep(owns: Owns, names: tuple[str, str], kind: str, id: str) -> None:
    """For an aggregator and its DSO; operators see everything, and what is theirs is on the first DSO's side."""
    for each in (*names, *(OPERATORS if names[1] == "grid" else ())):
        owns[each][kind] = id
