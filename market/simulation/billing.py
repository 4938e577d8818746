"""What is paid outside of auctions, made by the market: bills under tariffs, and what contracts pay.

A tariff that charges peaks is billed by whole months. Until a month is over its bill is provisional, as if nothing more
was drawn; of what it charges for the month as a whole (peaks, contracted power) the part counts that is metered, so
that a simulated day is charged a day's part of the month's peak. What a delivery is charged is what it adds to the
bill.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from api_spec.auction import Auction
from api_spec.calendar import Span, month_of, months
from api_spec.client import MarketClient
from api_spec.tariffs import Bill, BillTerms, Tariff
from market.network.model import FloatArray
from market.simulation.enacting import connections, dso_client, registered
from market.simulation.scenario import Scenario
from market.simulation.world import World
from market.store import UnitOfWork

_BY_TIME: Final = ("capacity", "connection")


@dataclass(frozen=True)
class Bills:
    """What is paid outside of the auction's ledger [EUR].

    contracts_eur : by the DSO to aggregators. tariffs_eur : by aggregators to the DSO. drivers_eur : by drivers to
    aggregators, who pass the network's tariffs on. energy_eur : by aggregators to whoever sells energy.
    """

    contracts_eur: float = 0.0
    tariffs_eur: float = 0.0
    drivers_eur: float = 0.0
    energy_eur: float = 0.0


NO_BILLS: Final = Bills()


async def billed(scenario: Scenario, world: World, auction: Auction, drawn_w: FloatArray) -> Bills:
    """Bill a delivery that is settled, and pay what contracts owe for its time.

    drawn_w : (period,) what all fleets drew together [W].
    """
    delivery, supply = auction.delivery, scenario.supply
    span = Span(start=delivery.start, end=delivery.end)
    tariffs_eur = Decimal(0)
    for name, tariff in (await registered(scenario, world)).items():
        tariffs_eur += await _charged_eur(name, tariff, span, scenario, world)
    return Bills(
        contracts_eur=float(await _contracts_eur(auction, span, scenario, world)),
        tariffs_eur=float(tariffs_eur),
        drivers_eur=float(tariffs_eur) + supply.price_eur(drawn_w, delivery),
        energy_eur=supply.cost_eur(drawn_w, delivery, zone=scenario.timezone),
    )


async def _charged_eur(name: str, tariff: Tariff, span: Span, scenario: Scenario, world: World) -> Decimal:
    """What a delivery adds to all bills under a tariff."""
    table = scenario.tariffs[name]
    client = dso_client(scenario, world, table.dso)
    whole_months = any(each.kind == "capacity" for each in tariff.components)
    spans = months(span, tariff.zone) if whole_months else (span,)
    charged = Decimal(0)
    for agent, points in connections(scenario, world, table.payers, f"tariffs.{name}"):
        who = (await world.clients[agent].me()).id
        for bus, power_w in points.items():
            for own in spans:
                terms = _terms(own, tariff, who, bus, power_w, whole_months=whole_months)
                before_eur = _charged_before_eur(terms, tariff, world) if whole_months else Decimal(0)
                bill = await _made(client, tariff, terms, until=own)
                charged += part_eur(bill, tariff) - before_eur
    return charged


def part_eur(bill: Bill, tariff: Tariff) -> Decimal:
    """What a bill comes to by what is metered of its time: its charges for the month as a whole in that proportion."""
    whole = bill.metered_minutes + bill.missing_minutes
    metered = Decimal(bill.metered_minutes) / whole if whole else Decimal(0)
    by_time = {each.name for each in tariff.components if each.kind in _BY_TIME}
    parts = (metered if line.component in by_time else Decimal(1) for line in bill.lines)
    return sum((part * line.amount_eur for part, line in zip(parts, bill.lines, strict=True)), Decimal(0))


def _terms(span: Span, tariff: Tariff, who: str, bus: str, power_w: int, *, whole_months: bool) -> BillTerms:
    month = month_of(span.start, tariff.zone) if whole_months else span
    return BillTerms(
        start=month.start,
        end=month.end,
        participant=who,
        bus=bus,
        contracted_power_w=power_w,
        provisional=whole_months,
    )


async def _made(client: MarketClient, tariff: Tariff, terms: BillTerms, *, until: Span) -> Bill:
    return await client.make_bill(
        tariff.id, terms, key=f"bill {tariff.id} {terms.participant} {terms.bus} {until.end.isoformat()}"
    )


def _charged_before_eur(terms: BillTerms, tariff: Tariff, world: World) -> Decimal:
    """Of the same month, place and participant, as it was billed after the delivery before; 0 for a month's first.

    From the market's database: its API gives all bills, which after some months are too many to be read every day.
    """
    with UnitOfWork(world.engine, reading=True) as work:
        latest = work.bills.latest(tariff.id, participant=terms.participant, bus=terms.bus)
    same = latest is not None and (latest.start, latest.end) == (terms.start, terms.end)
    return part_eur(latest, tariff) if latest is not None and same else Decimal(0)


async def _contracts_eur(auction: Auction, span: Span, scenario: Scenario, world: World) -> Decimal:
    """What the DSOs pay under contracts for a delivery: for what was called in it, and for standing ready."""
    with UnitOfWork(world.engine, reading=True) as work:
        called = work.contracts.transfers(auction=auction.id)
    paid = Decimal(0)
    for client in {id(each): each for each in _with_contracts(scenario, world)}.values():
        for contract in await client.contracts():
            if contract.terms.kind != "dimming_obligation":
                standing = await client.pay_availability(
                    contract.id, span, key=f"availability {contract.id} {span.start.isoformat()}"
                )
                paid += standing.amount_eur
            paid += sum((each.amount_eur for each in called if each.contract == contract.id), Decimal(0))
    return paid


def _with_contracts(scenario: Scenario, world: World) -> Iterator[MarketClient]:
    for table in scenario.contracts.values():
        yield dso_client(scenario, world, table.dso)
