"""What a run's market decided and paid: merit orders with the cleared volume, and money from award to payment."""

from collections.abc import Iterator
from datetime import tzinfo

import numpy as np
import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc

from api_spec.auction import BookEntry
from market.figures.book import busiest_period, cleared_over_time, in_merit_order, merit_order
from market.figures.chart import Chart
from market.figures.money import settlement_waterfall
from market.figures.tidy import Grid


def merit_orders(book: pa.Table, prices: pa.Table, zone: tzinfo) -> Iterator[Chart]:
    """The merit order of every period in which something was accepted, the busiest first; and the volume over time."""
    if not len(book):
        return
    nodal = Grid.of(prices, "bus")
    at_bus = {name: nodal["total"][at] for at, name in enumerate(nodal.things)}
    axis, entries = nodal.axis(zone), _entries(book)
    busiest = busiest_period(entries)
    periods = [at for at in range(len(axis.starts)) if any(entry.accepted_w[at] for entry in entries)] or [busiest]
    periods.sort(key=lambda at: at != busiest)
    pictures = []
    for at in periods:
        worth = [_worth(entry, at, at_bus) for entry in in_merit_order(entries, at)]
        pictures.append((f"period from {axis.starts[at]:%H:%M}", merit_order(entries, at, worth)))
    yield Chart.choice(
        "merit",
        "Merit order and cleared volume",
        "Not the cheapest is accepted (blue) but what asks less than its change is worth at its own bus (the line); "
        "an offer that takes its energy back later is weighed over all of its periods.",
        pictures,
    )
    yield Chart.of(
        "cleared",
        "Cleared volume",
        "Accepted reductions below the line, increases (such as recharging later) above it.",
        cleared_over_time(axis, entries),
    )


def payments(settlement: pa.Table, offers: pa.Table, zone: tzinfo) -> Iterator[Chart]:
    """From what awards promised to what was paid, of all participants together and of each."""
    names = sorted(set(settlement["participant"].to_pylist()))
    if not names:
        return
    pictures = [("all participants", _waterfall(settlement, offers))]
    for name in names:
        own = [table.filter(pc.equal(table["participant"], name)) for table in (settlement, offers)]
        pictures.append((name, _waterfall(*own)))
    yield Chart.choice(
        "payments",
        "From award to payment",
        "What awards promised, what was not delivered of it, penalties, and what was paid.",
        pictures,
    )


def _waterfall(settlement: pa.Table, offers: pa.Table) -> go.Figure:
    promised = _sum(offers, "payment_eur") + _sum(offers, "uplift_eur")
    delivered = _sum(settlement, "payment_eur") + _sum(settlement, "uplift_eur")
    steps = {"not delivered": delivered - promised, "penalties": -_sum(settlement, "penalty_eur")}
    adjusted = _sum(settlement, "adjustment_eur")
    if adjusted:
        steps["disputes"] = adjusted
    return settlement_waterfall(promised_eur=promised, steps_eur=steps, paid_eur=_sum(settlement, "net_eur"))


def _sum(table: pa.Table, column: str) -> float:
    return float(pc.sum(table[column]).as_py() or 0)


def _entries(book: pa.Table) -> list[BookEntry]:
    """The published order book of the rows of a run's table `book`."""
    series = Grid.of(book, "entry")
    words = {name: series.words[name] for name in ("bus", "kind")}
    asks = {row["entry"]: row["lowest_ask_eur_per_mwh"] for row in book.to_pylist()}
    return [
        BookEntry.model_validate(
            {
                "bus": words["bus"][at],
                "kind": words["kind"][at],
                "offered_w": series["offered_w"][at].astype(int).tolist(),
                "accepted_w": series["accepted_w"][at].astype(int).tolist(),
                "lowest_ask_eur_per_mwh": asks[name],
            }
        )
        for at, name in enumerate(series.things)
    ]


def _worth(entry: BookEntry, period: int, at_bus: dict[str, np.ndarray]) -> float:
    """What the change of an offer earns per MWh; a three-phase one is priced at the mean of its phases."""
    prices = [values[period] for name, values in at_bus.items() if name.partition(" phase ")[0] == entry.bus]
    return float(np.mean(prices)) * (-1 if entry.offered_w[period] > 0 else 1)
