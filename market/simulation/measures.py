"""One delivery in figures that can be compared: what studies, sweeps and reports put side by side."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from api_spec.settlement import Transfer
from api_spec.units import Message, NonNegative, Real
from market.ledger.transfers import balances
from market.network.model import FloatArray
from market.simulation.outcome import Fleet, Outcome
from market.simulation.participant import RatesPlugs
from market.simulation.physics import Truth
from market.simulation.results import Results

_NOTICED_WH: Final = 100.0
"""A driver who lacks less has got what was asked for: a few hundred metres."""


class Measures(Message):
    """All of AC power flow of what was really drawn, of drivers, of money and of how fleets behave.

    Violations (market.network.violations): count of unbroken episodes of one element or terminal, minutes of all
    elements or terminals together, depth of the worst.

    peak_w : the most that the network takes from its source [W]. peak_loading, peak_transformer_loading : current over
    rating, 0 where nothing is rated. overload_depth : largest excess over a rating, as a share of it.
    transformer_ageing_h : loss of life of all transformers together (IEC 60076-7) [h].

    asked_kwh, delivered_kwh : of the sessions in the delivery's rows of the table `drivers`, by its end; of whole
    sessions, also of what was before the delivery. drawn_kwh : what participants' devices drew in the delivery itself,
    which is what is paid for. unmet_kwh, drivers_unmet : what those who have left lack, and how many lack more than
    0.1 kWh.

    dso_flexibility_eur : DSOs' payments for awards and reservations, less penalties; a reservation counts in the
    delivery with which it is settled. dso_contracts_eur, tariff_income_eur : what they pay under contracts and get
    under tariffs. drivers_bill_eur : what drivers pay their aggregators. aggregator_margin_eur : what all of these
    leave to aggregators, less what energy cost them.

    awarded_kwh, award_delivered_kwh : energy that awards were to move and moved, either way counted positive.
    rebound_kwh : what came back of it in other periods of the delivery at the buses with awards, whether it was awarded
    as payback or not (`rebound_w`). fleet_peak_w : the most that all connection points of fleets drew at once.
    synchronisation : that over the power of all plugs, 0 where the plugs are not known.
    """

    peak_w: Real
    peak_loading: NonNegative
    peak_transformer_loading: NonNegative
    lowest_voltage_pu: NonNegative
    highest_voltage_pu: NonNegative
    overload_count: NonNegative
    overload_minutes: NonNegative
    overload_depth: NonNegative
    voltage_violation_count: NonNegative
    voltage_violation_minutes: NonNegative
    voltage_violation_depth_pu: NonNegative
    losses_kwh: Real
    transformer_ageing_h: NonNegative
    asked_kwh: NonNegative
    delivered_kwh: Real
    drawn_kwh: Real
    unmet_kwh: NonNegative
    drivers_unmet: NonNegative
    dso_flexibility_eur: Real
    dso_contracts_eur: Real
    tariff_income_eur: Real
    drivers_bill_eur: Real
    aggregator_margin_eur: Real
    awarded_kwh: NonNegative
    award_delivered_kwh: NonNegative
    rebound_kwh: NonNegative
    fleet_peak_w: Real
    synchronisation: Real


def measures_of(outcome: Outcome, results: Results) -> Measures:
    """Of a finished delivery."""
    figures = (
        _network(results.truth),
        driver_figures(results.tables["drivers"], until=outcome.auction.delivery.end),
        _money(outcome),
        _behaviour(outcome, results.truth),
    )
    return Measures(**{name: float(value) for each in figures for name, value in each.items()})


def _network(truth: Truth) -> dict[str, float]:
    over, outside, points = truth.overloads, truth.voltage_violations, truth.points
    return {
        "peak_w": points.source_w.max(),
        "peak_loading": _highest(points.loading),
        "peak_transformer_loading": _highest(truth.transformer_loading),
        "lowest_voltage_pu": points.voltage_pu.min(),
        "highest_voltage_pu": points.voltage_pu.max(),
        "overload_count": over.count,
        "overload_minutes": over.minutes,
        "overload_depth": over.depth,
        "voltage_violation_count": outside.count,
        "voltage_violation_minutes": outside.minutes,
        "voltage_violation_depth_pu": outside.depth,
        "losses_kwh": points.losses_w.sum() * truth.minutes / 60e3,
        "transformer_ageing_h": truth.ageing.lost_h.sum(),
    }


def driver_figures(drivers: pa.Table, *, until: datetime) -> dict[str, float]:
    """What drivers asked for and got by `until`; drivers : the table of that name, one row for each session."""
    asked, got = drivers["asked_wh"].to_numpy(), drivers["delivered_wh"].to_numpy()
    left = pc.less_equal(drivers["departs"], pa.scalar(until, drivers["departs"].type)).to_numpy()
    missing = np.where(left, np.maximum(asked - got, 0.0), 0.0)
    return {
        "asked_kwh": asked.sum() / 1e3,
        "delivered_kwh": got.sum() / 1e3,
        "unmet_kwh": missing.sum() / 1e3,
        "drivers_unmet": (missing > _NOTICED_WH).sum(),
    }


def _money(outcome: Outcome) -> dict[str, float]:
    bills = outcome.bills
    paid = float(paid_by_dsos_eur(outcome.transfers))
    return {
        "dso_flexibility_eur": paid,
        "dso_contracts_eur": bills.contracts_eur,
        "tariff_income_eur": bills.tariffs_eur,
        "drivers_bill_eur": bills.drivers_eur,
        "aggregator_margin_eur": paid + bills.contracts_eur + bills.drivers_eur - bills.tariffs_eur - bills.energy_eur,
    }


def paid_by_dsos_eur(transfers: Iterable[Transfer]) -> Decimal:
    """What all DSOs pay in a ledger; negative where they are paid."""
    return -sum((own for account, own in balances(transfers).items() if account.startswith("dso:")), Decimal(0))


def _behaviour(outcome: Outcome, truth: Truth) -> dict[str, float]:
    delivery, fleets = outcome.auction.delivery, tuple(outcome.fleets.values())
    kwh_per_w = delivery.hours / 1e3
    lines = [line for each in fleets if each.statement for line in each.statement.lines]
    fleet_w = sum(truth.drawn_w.values(), np.zeros(truth.steps.count))
    peak_w = fleet_w.max()
    plugs_w = sum(sum(each.agent.plug_ratings_w().values()) for each in fleets if isinstance(each.agent, RatesPlugs))
    pairs = tuple(_moves(fleets, outcome.drawn_w, delivery.count))
    return {
        "drawn_kwh": fleet_w.sum() * truth.minutes / 60e3,
        "awarded_kwh": kwh_per_w * sum(abs(line.ordered_w) for line in lines),
        "award_delivered_kwh": kwh_per_w * sum(abs(line.delivered_w) for line in lines),
        "rebound_kwh": kwh_per_w * rebound_w(pairs),
        "fleet_peak_w": peak_w,
        "synchronisation": peak_w / plugs_w if plugs_w else 0.0,
    }


def _moves(
    fleets: tuple[Fleet, ...], drawn_w: Mapping[str, FloatArray], count: int
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """(period,) each: what was ordered of a bus that has awards, and how far it drew other than its baseline [W]."""
    awarded_w, baseline_w = dict[str, FloatArray](), dict[str, FloatArray]()
    for fleet in fleets:
        for award in fleet.awards:
            awarded_w[award.bus] = awarded_w.get(award.bus, np.zeros(count)) + np.array(award.power_w, dtype=float)
        for own in fleet.baseline.buses if fleet.baseline else ():
            baseline_w[own.bus] = baseline_w.get(own.bus, np.zeros(count)) + np.array(own.power_w, dtype=float)
    for bus, ordered_w in awarded_w.items():
        if ordered_w.any():
            yield ordered_w, drawn_w.get(bus, np.zeros(count)) - baseline_w.get(bus, np.zeros(count))


def rebound_w(pairs: Iterable[tuple[FloatArray, FloatArray]]) -> float:
    """What comes back, in other periods, of what awards moved [W], summed over periods.

    ordered_w, moved_w : (period,) of each bus. With w = 1 or -1, the way of a bus's award where that is largest, over
    buses b and periods t:

        delivered = sum_bt  min(max(w moved, 0), w ordered)     where w ordered > 0
        returned  = sum_bt  -w moved                            in all other periods
        rebound   = min(max(returned, 0), delivered)

    Baselines are never quite right, and a fleet strays from them without any award. What strays either way cancels in
    `returned`, which is why only the sum is cut off at 0; and more than was moved cannot come back. What is left of
    their error is their bias, of the buses with awards together.
    """
    delivered = returned = 0.0
    for ordered_w, moved_w in pairs:
        way = np.sign(ordered_w[np.argmax(np.abs(ordered_w))])
        in_award = way * ordered_w > 0
        delivered += np.minimum(np.maximum(way * moved_w, 0.0), way * ordered_w)[in_award].sum()
        returned -= (way * moved_w)[~in_award].sum()
    return float(min(max(returned, 0.0), delivered))


def _highest(loading: FloatArray) -> float:
    return float(np.nanmax(loading, initial=0.0)) if loading.size else 0.0
