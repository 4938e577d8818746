"""The short table of a finished run: what a person wants to know first."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from api_spec.period import MarketPeriod
from api_spec.result import priced_places
from market.figures.run_folder import SummaryRow
from market.ledger.transfers import balances
from market.network import OperatingPoints
from market.network.violations import Violations
from market.simulation.agenda import Day
from market.simulation.measures import Measures, paid_by_dsos_eur
from market.simulation.outcome import Outcome
from market.simulation.results import Results


def summary(outcome: Outcome, results: Results) -> tuple[SummaryRow, ...]:
    """Its rows; `before` is empty where there is nothing to compare with."""
    return tuple(_rows(outcome, results))


def summary_of_days(days: Sequence[Day], measures: Sequence[Measures], whole: Measures) -> tuple[SummaryRow, ...]:
    """Of a run of several deliveries: the worst of all, with its day, and what adds up."""

    def worst(name: str) -> str:
        figure = getattr(whole, name)
        return next(day.name for day, own in zip(days, measures, strict=True) if getattr(own, name) == figure)

    def share(part: float, of: float) -> str:
        return f" ({part / of:.1%})" if of else ""

    overloads = f"{whole.overload_count:.0f}, {whole.overload_minutes:,.0f} min"
    violations = f"{whole.voltage_violation_count:.0f}, {whole.voltage_violation_minutes:,.0f} min"
    moved = f"{whole.award_delivered_kwh:,.1f} of {whole.awarded_kwh:,.1f} kWh"
    got = f"{whole.delivered_kwh:,.1f} kWh{share(whole.delivered_kwh, whole.asked_kwh)}"
    return (
        SummaryRow("deliveries", "", f"{len(days)}, {days[0].name} to {days[-1].name}"),
        SummaryRow("loading as drawn", "", f"{whole.peak_loading:.1%}, {worst('peak_loading')}"),
        SummaryRow("lowest voltage", "", f"{whole.lowest_voltage_pu:.4f} pu, {worst('lowest_voltage_pu')}"),
        SummaryRow("overloads", "", overloads),
        SummaryRow("voltage violations", "", violations),
        SummaryRow("losses", "", f"{whole.losses_kwh:,.1f} kWh"),
        SummaryRow("delivered", "", moved + share(whole.award_delivered_kwh, whole.awarded_kwh)),
        SummaryRow("the DSO paid", "", f"{whole.dso_flexibility_eur:.4f} EUR"),
        SummaryRow("drivers' energy", f"{whole.asked_kwh:,.1f} kWh asked for", got),
    )


def short_table(title: str, rows: tuple[SummaryRow, ...]) -> Table:
    """The rows for a terminal of 80 columns."""
    table = Table("", "before", "after", title=title, title_justify="left", box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(row.label, row.before, row.after)
    return table


def _rows(outcome: Outcome, results: Results) -> Iterator[SummaryRow]:
    flows = results.flows
    if not np.isnan(flows.before.loading).all():
        periods, steps = outcome.auction.delivery, results.truth.steps
        before, after = (_worst_loading(outcome, each, periods) for each in (flows.before, flows.after))
        yield SummaryRow("worst loading", before, after)
        yield SummaryRow("loading as drawn", "", _worst_loading(outcome, results.truth.points, steps))
    yield SummaryRow("lowest voltage", _lowest_voltage(outcome, flows.before), _lowest_voltage(outcome, flows.after))
    yield SummaryRow("overloads as drawn", "", _violations(results.truth.overloads))
    yield SummaryRow("voltage violations", "", _violations(results.truth.voltage_violations))
    yield SummaryRow("highest DLMP", "", _highest_price(outcome))
    accepted = [each for each in outcome.result.offers if any(each.power_w)]
    yield SummaryRow("offers accepted", "", f"{len(accepted)} of {len(outcome.result.offers)}")
    yield SummaryRow("delivered", "", _delivered(outcome))
    statements = [each.statement for each in outcome.fleets.values() if each.statement]
    ledger = balances(outcome.transfers)
    paid = paid_by_dsos_eur(outcome.transfers)
    penalty = sum((each.penalty_eur for each in statements), Decimal(0))
    yield SummaryRow("the DSO paid", "", f"{paid:.4f} EUR")
    yield SummaryRow("penalties in it", "", f"{penalty:.4f} EUR")
    yield SummaryRow("drivers' energy", *_drivers(results))
    total = sum(ledger.values(), Decimal(0))
    yield SummaryRow("ledger sum", "", f"{total:.4f} EUR over {len(outcome.transfers)} entries")


def _violations(found: Violations) -> str:
    return f"{found.count}, {found.minutes:,.0f} min"


def _worst_loading(outcome: Outcome, flows: OperatingPoints, steps: MarketPeriod) -> str:
    period, branch = np.unravel_index(np.nanargmax(flows.loading), flows.loading.shape)
    share = flows.loading[period, branch]
    start = steps.starts()[int(period)].astimezone(outcome.scenario.zone)
    return f"{share:.1%}, {flows.grid.branch_ids[branch]}, {start:%H:%M}"


def _lowest_voltage(outcome: Outcome, flows: OperatingPoints) -> str:
    period, bus = np.unravel_index(np.argmin(flows.voltage_pu), flows.voltage_pu.shape)
    name = flows.grid.terminal_names[int(bus)]
    return f"{flows.voltage_pu[period, bus]:.4f} pu, {name}, {_clock(outcome, int(period))}"


def _highest_price(outcome: Outcome) -> str:
    price, place, period = max(
        (price, place, period)
        for place, parts in priced_places(outcome.result.prices_eur_per_mwh)
        for period, price in enumerate(parts.total)
    )
    return f"{price:.2f} EUR/MWh, {place}, {_clock(outcome, period)}"


def _delivered(outcome: Outcome) -> str:
    lines = [line for each in outcome.fleets.values() if each.statement for line in each.statement.lines]
    ordered, delivered = (sum(abs(getattr(line, name)) for line in lines) for name in ("ordered_w", "delivered_w"))
    kwh_per_w = outcome.auction.delivery.hours / 1e3
    share = f" ({delivered / ordered:.1%})" if ordered else ""
    return f"{delivered * kwh_per_w:,.1f} of {ordered * kwh_per_w:,.1f} kWh{share}"


def _drivers(results: Results) -> tuple[str, str]:
    """Asked for, delivered."""
    drivers = results.tables["drivers"]
    asked, delivered = (sum(drivers[name].to_pylist()) / 1e3 for name in ("asked_wh", "delivered_wh"))
    share = f" ({delivered / asked:.2%})" if asked else ""
    return f"{asked:,.1f} kWh asked for", f"{delivered:,.1f} kWh{share}"


def _clock(outcome: Outcome, period: int) -> str:
    start: datetime = outcome.auction.delivery.starts()[period]
    return f"{start.astimezone(outcome.scenario.zone):%H:%M}"
