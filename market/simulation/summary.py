"""The short table of a finished run: what a person wants to know first."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.box import SIMPLE_HEAD
from rich.table import Table

from api_spec.period import MarketPeriod
from api_spec.result import priced_places
from market.figures.run_folder import SummaryRow
from market.ledger.transfers import balances
from market.network import OperatingPoints
from market.simulation.agenda import Day
from market.simulation.measures import Measures
from market.simulation.outcome import Outcome
from market.simulation.results import Results

_KINDS: Final = {"activation": ("auction", "auctions"), "reservation": ("reservation", "reservations")}


def summary(outcome: Outcome, results: Results, measures: Measures) -> tuple[SummaryRow, ...]:
    """Of one delivery; `before` is empty where there is nothing to compare with."""
    return tuple(_rows(outcome, results, measures))


def summary_of_days(days: Sequence[Day], measures: Sequence[Measures], whole: Measures) -> tuple[SummaryRow, ...]:
    """Of a run of several deliveries: the worst of all, with its day, and what adds up."""

    def worst(name: str) -> str:
        figure = getattr(whole, name)
        return next(day.name for day, own in zip(days, measures, strict=True) if getattr(own, name) == figure)

    return (
        SummaryRow("deliveries", "", f"{len(days)}, {days[0].name} to {days[-1].name}"),
        SummaryRow("loading as drawn", "", f"{whole.peak_loading:.1%}, {worst('peak_loading')}"),
        SummaryRow("lowest voltage", "", f"{whole.lowest_voltage_pu:.4f} pu, {worst('lowest_voltage_pu')}"),
        *_violations(whole),
        SummaryRow("losses", "", f"{whole.losses_kwh:,.1f} kWh"),
        _delivered(whole),
        _paid(whole),
        _drivers(whole),
    )


def summary_of_open(unsettled: pa.Table) -> tuple[SummaryRow, ...]:
    """What the run leaves open, where it does. unsettled : the table of that name."""
    if len(unsettled) == 0:
        return ()
    kinds = Counter(unsettled["stage"].to_pylist())
    named = ", ".join(f"{count} {_KINDS[stage][count > 1]}" for stage, count in sorted(kinds.items()))
    pending = pc.sum(unsettled["pending_eur"]).as_py()
    return (SummaryRow("not settled", "", f"{named}: not over yet, {pending:.4f} EUR pending"),)


def short_table(title: str, rows: tuple[SummaryRow, ...]) -> Table:
    """The rows for a terminal of 80 columns."""
    table = Table("", "before", "after", title=title, title_justify="left", box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(row.label, row.before, row.after)
    return table


def _rows(outcome: Outcome, results: Results, measures: Measures) -> Iterator[SummaryRow]:
    flows = results.flows
    if not np.isnan(flows.before.loading).all():
        periods, steps = outcome.auction.delivery, results.truth.steps
        before, after = (_worst_loading(outcome, each, periods) for each in (flows.before, flows.after))
        yield SummaryRow("worst loading", before, after)
        yield SummaryRow("loading as drawn", "", _worst_loading(outcome, results.truth.points, steps))
    yield SummaryRow("lowest voltage", _lowest_voltage(outcome, flows.before), _lowest_voltage(outcome, flows.after))
    yield from _violations(measures)
    yield SummaryRow("highest DLMP", "", _highest_price(outcome))
    accepted = [each for each in outcome.result.offers if any(each.power_w)]
    yield SummaryRow("offers accepted", "", f"{len(accepted)} of {len(outcome.result.offers)}")
    yield _delivered(measures)
    yield _paid(measures)
    statements = [each.statement for each in outcome.fleets.values() if each.statement]
    penalty = sum((each.penalty_eur for each in statements), Decimal(0))
    yield SummaryRow("penalties in it", "", f"{penalty:.4f} EUR")
    yield _drivers(measures)
    total = sum(balances(outcome.transfers).values(), Decimal(0))
    yield SummaryRow("ledger sum", "", f"{total:.4f} EUR over {len(outcome.transfers)} entries")


def _violations(measures: Measures) -> Iterator[SummaryRow]:
    for label, kind in (("overloads drawn", "overload"), ("voltage outside", "voltage_violation")):
        count, minutes = (getattr(measures, f"{kind}_{name}") for name in ("count", "minutes"))
        yield SummaryRow(label, "", f"{count:.0f}, {minutes:,.0f} min")


def _delivered(measures: Measures) -> SummaryRow:
    part, whole = measures.award_delivered_kwh, measures.awarded_kwh
    return SummaryRow("delivered", "", f"{part:,.1f} of {whole:,.1f} kWh{_share(part, whole, '.1%')}")


def _paid(measures: Measures) -> SummaryRow:
    return SummaryRow("the DSO paid", "", f"{measures.dso_flexibility_eur:.4f} EUR")


def _drivers(measures: Measures) -> SummaryRow:
    got, asked = measures.delivered_kwh, measures.asked_kwh
    return SummaryRow("drivers' energy", f"{asked:,.1f} kWh asked for", f"{got:,.1f} kWh{_share(got, asked, '.2%')}")


def _share(part: float, whole: float, form: str) -> str:
    return f" ({part / whole:{form}})" if whole else ""


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


def _clock(outcome: Outcome, period: int) -> str:
    start: datetime = outcome.auction.delivery.starts()[period]
    return f"{start.astimezone(outcome.scenario.zone):%H:%M}"
