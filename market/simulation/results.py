"""A finished run as tables: one row for each period and thing, or for each offer, driver and ledger entry.

Tables by name; `start` is the beginning of a period in UTC. Before : forecast and nominated baselines. After : with the
accepted offers. Actual : what everyone really drew. All three are AC power flows of a period's mean power; what really
flowed in finer steps is in the tables of market.simulation.physical_tables.

    elements    start, element, before, after, actual, limit, unit
    voltages    start, bus, before_pu, after_pu, actual_pu, min_pu, max_pu
    prices      start, bus, total, energy, losses, congestion, voltage, unbalance [EUR/MWh]
    fleets      start, participant, baseline_w, awarded_w, metered_w
    plugs       start (of a minute), plug, setpoint_w, metered_w
    offers      offer, participant, bus, kind, moved_wh, payment_eur, uplift_eur, reason
    drivers     participant, session, plug, arrives, departs, asked_wh, delivered_wh
    faults      participant, kind, where, start, end
    requests    asked_at, participant, kind, about, because
    settlement  start, participant, bus, baseline_w, ordered_w, metered_w, ..., net_eur
    transfers   id, stage, debit, credit, amount_eur, memo, at
    unsettled   auction, stage, start, end, pending_eur
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa

from api_spec.award import Award
from api_spec.calendar import delivery_later
from api_spec.metering import BusPower, Reading
from api_spec.period import MarketPeriod
from api_spec.result import PriceParts, priced_places
from api_spec.settlement import SettlementLine, Transfer
from api_spec.units import MONEY_PLACES, PRICE_PLACES
from market.network.model import FloatArray
from market.simulation.flows import Flows
from market.simulation.metering import readings_table
from market.simulation.outcome import Outcome, Unsettled
from market.simulation.participant import ChargesVehicles, LogsFaults
from market.simulation.physical_tables import physical_tables
from market.simulation.physics import Truth
from market.simulation.reasons import requests_table
from market.simulation.tidy import tidy, times

_EURO: Final = pa.decimal128(18, MONEY_PLACES)
_PRICE: Final = pa.decimal128(18, PRICE_PLACES)
_PARTS: Final = tuple(PriceParts.model_fields)


class Results:
    """The tables of a finished run; power flows are solved once, when first asked for."""

    def __init__(self, outcome: Outcome) -> None:
        """Of a finished run."""
        self.outcome = outcome
        self._delivery = outcome.auction.delivery

    @cached_property
    def truth(self) -> Truth:
        """What really flowed."""
        scenario = self.outcome.scenario
        return Truth.of(scenario.around(), self.outcome.agents.values(), self._delivery, scenario.physics)

    @cached_property
    def flows(self) -> Flows:
        """AC operating points before, after and as drawn."""
        return Flows.of(self.outcome, self.truth)

    def solve(self) -> Flows:
        """Compute now what flowed, rather than when it is first asked for."""
        return self.flows

    @cached_property
    def tables(self) -> Mapping[str, pa.Table]:
        """Every table by its name."""
        return {
            "elements": self._elements(),
            "voltages": self._voltages(),
            "prices": self._prices(),
            "fleets": self._fleets(),
            "plugs": self._plugs(),
            "offers": self._offers(),
            "book": self._book(),
            "drivers": self._drivers(),
            "faults": self._faults(),
            "requests": requests_table(self.outcome.agents, auction=self.outcome.auction.id),
            "settlement": self._settlement(),
            "meter_readings": readings_table(self.outcome.meter_readings),
            "transfers": _transfers(self.outcome.transfers),
            "unsettled": _unsettled(self.outcome.unsettled),
            **physical_tables(self.truth),
        }

    def _elements(self) -> pa.Table:
        grid, flows = self.flows.grid, self.flows
        current = {name: getattr(flows, name).current_a.T for name in ("before", "after", "actual")}
        table = self._tidy("element", grid.branch_ids, {**current, "limit": grid.rating_a[:, None]})
        return table.append_column("unit", pa.array(["A"] * len(table)))

    def _voltages(self) -> pa.Table:
        grid, flows = self.flows.grid, self.flows
        voltage = {f"{name}_pu": getattr(flows, name).voltage_pu.T for name in ("before", "after", "actual")}
        band = {
            "min_pu": np.repeat(grid.min_pu, grid.phases)[:, None],
            "max_pu": np.repeat(grid.max_pu, grid.phases)[:, None],
        }
        return self._tidy("bus", grid.terminal_names, {**voltage, **band})

    def _prices(self) -> pa.Table:
        prices = sorted(priced_places(self.outcome.result.prices_eur_per_mwh))
        columns = {
            part: np.array([[float(price) for price in getattr(parts, part)] for _, parts in prices]) for part in _PARTS
        }
        return self._tidy("bus", [bus for bus, _ in prices], columns)

    def _fleets(self) -> pa.Table:
        fleets = self.outcome.fleets
        count = self._delivery.count
        columns = {
            "baseline_w": [_total_w(each.baseline.buses if each.baseline else (), count) for each in fleets.values()],
            "awarded_w": [_total_w(each.awards, count) for each in fleets.values()],
            "metered_w": [metered_w(each.readings, self._delivery) for each in fleets.values()],
        }
        return self._tidy("participant", tuple(fleets), {name: np.array(rows) for name, rows in columns.items()})

    def _plugs(self) -> pa.Table:
        delivery = self._delivery
        agents = [each.agent for each in self.outcome.fleets.values()]
        logs = [agent.plug_log() for agent in agents if isinstance(agent, ChargesVehicles)]
        rows = [row for log in logs for row in log if delivery.start <= row.at < delivery.end]
        return pa.table(
            {
                "start": times(row.at for row in rows),
                "plug": pa.array([row.plug for row in rows], pa.string()),
                "setpoint_w": pa.array([row.setpoint_w for row in rows], pa.float64()),
                "metered_w": pa.array([row.metered_w for row in rows], pa.float64()),
            }
        )

    def _offers(self) -> pa.Table:
        offers = {each.id: each for each in self.outcome.case.offers}
        names = {each.organisation: name for name, each in self.outcome.fleets.items()}
        hours = self._delivery.hours
        rows = [(offers[each.id], each) for each in self.outcome.result.offers]
        return pa.table(
            {
                "offer": pa.array([offer.id for offer, _ in rows], pa.string()),
                "participant": pa.array([names[offer.participant] for offer, _ in rows], pa.string()),
                "bus": pa.array([offer.bus for offer, _ in rows], pa.string()),
                "kind": pa.array([offer.kind for offer, _ in rows], pa.string()),
                "moved_wh": pa.array([hours * sum(map(abs, each.power_w)) for _, each in rows], pa.float64()),
                "payment_eur": pa.array([each.payment_eur for _, each in rows], _EURO),
                "uplift_eur": pa.array([each.uplift_eur for _, each in rows], _EURO),
                "reason": pa.array([each.reason.code if each.reason else None for _, each in rows], pa.string()),
            }
        )

    def _book(self) -> pa.Table:
        """The published order book, without owners: entries are numbered in its order."""
        book = self.outcome.book
        names = [f"{at + 1}" for at in range(len(book))]
        shape = (len(book), self._delivery.count)
        columns = {
            name: np.array([getattr(each, name) for each in book], dtype=np.int64).reshape(shape)
            for name in ("offered_w", "accepted_w")
        }
        table = self._tidy("entry", names, columns)
        for name, kind in (("bus", pa.string()), ("kind", pa.string()), ("lowest_ask_eur_per_mwh", _PRICE)):
            values = [getattr(each, name) for each in book for _ in range(self._delivery.count)]
            table = table.append_column(name, pa.array(values, kind))
        return table

    def _drivers(self) -> pa.Table:
        """Sessions that have ended since the delivery before, and on the last one those as well that go on after it."""
        since = self._since()
        rows = [
            (name, each)
            for name, fleet in self.outcome.fleets.items()
            if isinstance(fleet.agent, ChargesVehicles)
            for each in fleet.agent.driver_report()
            if since < each.departs and (self.outcome.last or each.departs <= self._delivery.end)
        ]
        return pa.table(
            {
                "participant": pa.array([name for name, _ in rows], pa.string()),
                "session": pa.array([each.session for _, each in rows], pa.string()),
                "plug": pa.array([each.plug for _, each in rows], pa.string()),
                "arrives": times(each.arrives for _, each in rows),
                "departs": times(each.departs for _, each in rows),
                "asked_wh": pa.array([each.asked_wh for _, each in rows], pa.float64()),
                "delivered_wh": pa.array([each.delivered_wh for _, each in rows], pa.float64()),
            }
        )

    def _since(self) -> datetime:
        """The end of the delivery before, of the first one its own start."""
        scenario, number = self.outcome.scenario, self.outcome.day.number
        if number == 0:
            return self._delivery.start
        return delivery_later(scenario.delivery, number - 1, scenario.zone).end

    def _faults(self) -> pa.Table:
        """What was out of order at some time of the delivery."""
        delivery = self._delivery
        rows = [
            (name, each)
            for name, agent in self.outcome.agents.items()
            if isinstance(agent, LogsFaults)
            for each in sorted(agent.fault_log(), key=lambda each: (each.start, each.kind, each.where))
            if each.start < delivery.end and each.end > delivery.start
        ]
        return pa.table(
            {
                "participant": pa.array([name for name, _ in rows], pa.string()),
                "kind": pa.array([each.kind for _, each in rows], pa.string()),
                "where": pa.array([each.where for _, each in rows], pa.string()),
                "start": times(each.start for _, each in rows),
                "end": times(each.end for _, each in rows),
            }
        )

    def _settlement(self) -> pa.Table:
        settled = [
            (name, line)
            for name, fleet in self.outcome.fleets.items()
            for line in (fleet.statement.lines if fleet.statement else ())
        ]
        columns: dict[str, Any] = {
            "start": times(line.start for _, line in settled),
            "participant": pa.array([name for name, _ in settled], pa.string()),
        }
        for name in SettlementLine.model_fields:
            if name != "start":
                columns[name] = _column(name, [getattr(line, name) for _, line in settled])
        return pa.table(columns)

    def _tidy(self, by: str, things: Sequence[str], columns: Mapping[str, np.ndarray]) -> pa.Table:
        return tidy(self._delivery, by, things, columns)


def metered_w(readings: Iterable[Reading], delivery: MarketPeriod) -> FloatArray:
    """(period,) what an aggregator reported at all of its buses [W]; nan where nothing came. Later readings win."""
    by_bus: dict[str, FloatArray] = {}
    for reading in sorted(readings, key=lambda each: each.version):
        first = delivery.index(reading.start)
        for each in reading.buses:
            row = by_bus.setdefault(each.bus, np.full(delivery.count, np.nan))
            row[first : first + len(each.power_w)] = each.power_w
    return np.sum(list(by_bus.values()), axis=0) if by_bus else np.full(delivery.count, np.nan)


def _total_w(powers: Iterable[BusPower | Award], count: int) -> FloatArray:
    """(period,) all of them together [W]."""
    return sum((np.array(each.power_w, dtype=np.float64) for each in powers), np.zeros(count))


def _transfers(transfers: Sequence[Transfer]) -> pa.Table:
    names = [name for name in Transfer.model_fields if name != "at"]
    columns: dict[str, Any] = {name: _column(name, [getattr(each, name) for each in transfers]) for name in names}
    return pa.table({**columns, "at": times(each.at for each in transfers)})


def _unsettled(open_still: Sequence[Unsettled]) -> pa.Table:
    auctions = [each.auction for each in open_still]
    return pa.table(
        {
            "auction": pa.array([each.id for each in auctions], pa.string()),
            "stage": pa.array([each.product.stage for each in auctions], pa.string()),
            "start": times(each.delivery.start for each in auctions),
            "end": times(each.delivery.end for each in auctions),
            "pending_eur": pa.array([each.pending_eur for each in open_still], _EURO),
        }
    )


def _column(name: str, values: list[Any]) -> pa.Array:
    if name.endswith("_eur") or name.endswith("_per_mwh"):
        return pa.array(values, _EURO if name.endswith("_eur") else _PRICE)
    if name.endswith("_factor"):
        return pa.array(values, pa.float64())
    return pa.array(values, pa.int64() if name.endswith("_w") else pa.string())
