"""A decision for people: the load that is expected, what leaves its limits and how likely, what is asked and why."""

from collections.abc import Iterator
from dataclasses import asdict
from zoneinfo import ZoneInfo

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from dso_agents.backtest import Backtest
from dso_agents.congestion import Chance, Congestion
from dso_agents.deciding import Decision
from market.network.model import FloatArray

_BAR = 28
_ROWS = 24


def load_table(decision: Decision, zone: ZoneInfo) -> Table:
    """Total load that the DSO expects itself, with the band that it stays in nine times of ten.

    Of the bar, the full part is exceeded nineteen times of twenty, all of it once.
    """
    load, period = decision.day.load, decision.period
    stride = max(1, period.count // _ROWS)
    low, mean, high = (
        _means(each, stride) / 1e3
        for each in (load.total_quantile_w(0.05), load.expected_w.sum(axis=1), load.total_quantile_w(0.95))
    )
    table = Table("from", "5 %", "mean", "95 % kW", "", title="Load without chargers", box=SIMPLE_HEAD)
    if decision.learnt:
        table.caption = f"{_known_days(decision):.0f} like days known at the median bus"
    else:
        table.caption = "no meter has said anything: the known profile is all there is"
    for column in table.columns[1:4]:
        column.justify = "right"
    top = max(float(high.max()), 1e-9)
    for at, start in enumerate(period.starts()[::stride]):
        full, open_ = (max(0, round(_BAR * float(each[at]) / top)) for each in (low, high))
        bar = "█" * full + "░" * max(0, open_ - full)
        local = f"{start.astimezone(zone):%d %H:%M}"
        table.add_row(local, f"{low[at]:.1f}", f"{mean[at]:.1f}", f"{high[at]:.1f}", bar)
    return table


def congestion_table(found: Congestion, zone: ZoneInfo) -> Table:
    """What leaves its limits: where, when it is worst, how far, how likely, and in how many periods."""
    table = Table(title="Expected congestion", box=SIMPLE_HEAD)
    table.add_column("where")
    table.add_column("worst at")
    for heading in ("expected", "planned", "likely", "minutes", "periods"):
        table.add_column(heading, justify="right")
    for row in _rows(found, zone):
        table.add_row(*row)
    if table.rows:
        table.caption = "planned: what the market is asked to keep; likely, minutes: of a violation without it"
    else:
        table.caption = "none"
    return table


def _rows(found: Congestion, zone: ZoneInfo) -> Iterator[tuple[str, ...]]:
    clock = [f"{start.astimezone(zone):%d %H:%M}" for start in found.period.starts()]
    for overload in found.overloads:
        at = overload.worst
        current, limit = f"{overload.current_a[at]:.1f} A", f"{overload.limit_a[at]:.1f} A"
        yield overload.element, clock[at], current, limit, *_likely(overload.chance, found, overload.affected)
    for violation in found.violations:
        at = violation.worst
        voltage = violation.voltage_pu[at]
        limit = f"< {violation.max_pu:.4f}" if voltage > violation.max_pu else f"> {violation.min_pu:.4f}"
        likely = _likely(violation.chance, found, violation.affected)
        yield violation.bus, clock[at], f"{voltage:.4f} pu", f"{limit} pu", *likely


def _likely(chance: Chance | None, found: Congestion, affected: tuple[bool, ...]) -> tuple[str, str, str]:
    if chance is None:
        return "", "", str(sum(affected))
    return f"{chance.worst:.0%}", f"{chance.minutes(found.period):.0f}", str(sum(affected))


def reasons(decision: Decision) -> Table:
    """What is asked, and why."""
    table = Table("asked", "because", title="Requests", box=SIMPLE_HEAD)
    for choice in decision.choices:
        table.add_row(choice.terms.kind, choice.because)
    if not table.rows:
        table.caption = "none"
    return table


def decision_document(decision: Decision) -> dict[str, object]:
    """The same for a program; lists are by period."""
    load = decision.day.load
    return {
        "period": decision.period.model_dump(mode="json"),
        "learnt": decision.learnt,
        "need": decision.need,
        "load_w": {
            "expected": load.expected_w.sum(axis=1).tolist(),
            **{f"{level:.0%}": load.total_quantile_w(level).tolist() for level in (0.05, 0.5, 0.95)},
        },
        "overloads": [asdict(each) for each in decision.found.overloads],
        "violations": [asdict(each) for each in decision.found.violations],
        "requests": [
            {"terms": each.terms.model_dump(mode="json", exclude_none=True), "because": each.because}
            for each in decision.choices
        ],
    }


def backtest_table(found: Backtest) -> Table:
    """How the forecast did, beside what it should have done."""
    table = Table("", "was", "should be", title=f"{found.days} days after the fact", box=SIMPLE_HEAD)
    table.add_row("between 5 and 95 %, each bus", f"{found.bus_coverage:.1%}", "90 %")
    table.add_row("between 5 and 95 %, all buses", f"{found.total_coverage:.1%}", "90 %")
    table.add_row("mean pinball loss", f"{found.pinball_w:.1f} W", f"< {found.profile_pinball_w:.1f} W of the profile")
    if found.asked:
        asked = f"above rating, of {found.asked} asked for"
        table.add_row(asked, f"{found.violated:.1%}", f"at most about {found.accepted:.1%}")
        table.add_row("the same without the market", f"{found.violated_without:.1%}", "")
    return table


def _means(values: FloatArray, stride: int) -> FloatArray:
    """Of every `stride` periods, a shorter rest included."""
    return np.array([values[at : at + stride].mean() for at in range(0, len(values), stride)])


def _known_days(decision: Decision) -> float:
    known = decision.day.load.known_days
    return float(np.median(known[known > 0])) if (known > 0).any() else 0.0
