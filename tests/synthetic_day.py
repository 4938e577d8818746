"""Tables of a made-up day with the columns of a simulation's results: one line and one transformer, three buses."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

START = datetime(2026, 1, 15, 5, tzinfo=UTC)
STARTS = [START + k * timedelta(minutes=15) for k in range(96)]
HOURS = np.arange(96) / 4
EVENING = np.exp(-(((HOURS - 12.5) / 2.0) ** 2))
BUSES = ("b2", "b10", "trafo")


def tidy(by: str, series: dict[str, dict[str, object]], starts: list[datetime] = STARTS) -> pa.Table:
    """Rows of (start, thing) from columns per thing; a scalar stands for all periods."""
    columns: dict[str, list[object]] = {"start": [], by: []}
    for thing, values in series.items():
        columns["start"] += starts
        columns[by] += [thing] * len(starts)
        for name, value in values.items():
            columns.setdefault(name, []).extend(np.broadcast_to(np.asarray(value), (len(starts),)).tolist())
    table = pa.table(columns)
    return table.set_column(0, "start", table["start"].cast(pa.timestamp("us", tz="UTC")))


def elements() -> pa.Table:
    """The transformer's current peaks at 131 % of its 400 A before and is held there after; the cable is half full."""
    before = 180 + 344 * EVENING
    return tidy(
        "element",
        {
            "cable": {"before": before / 4, "after": before / 4, "limit": 262.0, "unit": "A"},
            "trafo": {"before": before, "after": np.minimum(before, 400), "limit": 400.0, "unit": "A"},
        },
    )


def prices() -> pa.Table:
    """Energy at 90 EUR/MWh everywhere; behind the transformer up to 240 more for congestion at 18:30."""
    parts: dict[str, dict[str, object]] = {}
    for at, bus in enumerate(BUSES):
        congestion = 240 * np.maximum(0, EVENING - 0.64) / 0.36 if bus != "trafo" else 0 * EVENING
        losses = 0.8 * at + 4 * EVENING
        energy = 90 + 0 * EVENING
        parts[bus] = {
            "total": energy + losses + congestion,
            "energy": energy,
            "losses": losses,
            "congestion": congestion,
            "voltage": 0.0,
            "unbalance": 0.0,
        }
    return tidy("bus", parts)


def voltages() -> pa.Table:
    """Bus b10 falls to 0.93 pu before and stays at 0.96 pu after."""
    fall = {"b2": 0.03, "b10": 0.07, "trafo": 0.01}
    return tidy(
        "bus",
        {
            bus: {"before_pu": 1 - by * EVENING, "after_pu": 1 - by * EVENING * 4 / 7, "min_pu": 0.95, "max_pu": 1.05}
            for bus, by in fall.items()
        },
    )


def plugs() -> pa.Table:
    """Two plugs told 11 kW for an hour each, drawing 0.5 kW less; a third is never used."""
    minutes = [START + k * timedelta(minutes=1) for k in range(1440)]
    on = [(np.arange(1440) // 60) == hour for hour in (3, 4)]
    series = {f"p{at + 1}": {"setpoint_w": 11_000 * busy, "metered_w": 10_500 * busy} for at, busy in enumerate(on)}
    return tidy("plug", {**series, "p3": {"setpoint_w": 0, "metered_w": 0}}, minutes)


def write_run(folder: Path) -> Path:
    """A run folder with all tables."""
    (folder / "results").mkdir(parents=True)
    for table in (elements, prices, voltages, plugs):
        pq.write_table(table(), folder / "results" / f"{table.__name__}.parquet")
    rows = [{"label": "Worst loading", "before": "131 %", "after": "100 %"}, {"label": "Ledger sum", "value": "0 EUR"}]
    summary = {"title": "A made-up day", "timezone": "Europe/Copenhagen", "rows": rows}
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return folder
