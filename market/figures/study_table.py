"""The columns of a study of instruments, the same at the terminal and in the report."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from market.figures.study import Row, Study


@dataclass(frozen=True)
class Column:
    """heading : with its unit. text : what stands there for a cell. short : whether a terminal shows it, too."""

    heading: str
    meaning: str
    text: Callable[[Study, Row], str]
    short: bool = True


def _measure(
    heading: str, meaning: str, name: str, form: str = ",.0f", per_unit: float = 1.0, *, short: bool = True
) -> Column:
    return Column(heading, meaning, lambda _, row: f"{_positive_zero(row.measures[name] / per_unit):{form}}", short)


def _share(value: float | None) -> str:
    return "" if value is None else f"{_positive_zero(value):.0%}"


def _positive_zero(value: float) -> float:
    """Without the sign of what rounds to nothing."""
    return value if abs(value) >= 5e-3 else 0.0


COLUMNS: Final = (
    _measure("fleet kW", "the most that all vehicles draw together", "fleet_peak_w", per_unit=1e3),
    Column("at", "when that is", lambda _, row: f"{row.peak_at:%H:%M}" if row.measures["fleet_peak_w"] else ""),
    Column("of dumb", "that peak in terms of dumb charging's", lambda study, row: _share(study.over_dumb(row))),
    Column("avoids", "the part of the time-of-use peak that it avoids", lambda study, row: _share(study.avoided(row))),
    _measure("grid kW", "the most that the network takes", "peak_w", per_unit=1e3, short=False),
    _measure("load %", "the highest current over its rating", "peak_loading", per_unit=1e-2),
    _measure("over n", "unbroken overloads of one element", "overload_count", short=False),
    _measure("over min", "minutes of overload, over all elements", "overload_minutes"),
    _measure("volt n", "unbroken times of one bus outside of its voltage band", "voltage_violation_count", short=False),
    _measure("volt min", "minutes of that, over all buses", "voltage_violation_minutes"),
    _measure("min pu", "the lowest voltage", "lowest_voltage_pu", ".3f", short=False),
    _measure("loss kWh", "losses of the network", "losses_kwh", ".1f", short=False),
    _measure("flex EUR", "what the DSO pays to the market, less penalties", "dso_flexibility_eur", ".2f"),
    _measure("contr EUR", "what it pays under contracts", "dso_contracts_eur", ".2f"),
    _measure("tariff EUR", "what it gets under the network tariff", "tariff_income_eur", ".2f"),
    _measure("bills EUR", "what drivers pay, energy and network", "drivers_bill_eur", ".2f"),
    _measure("margin EUR", "what is left to aggregators", "aggregator_margin_eur", ".2f"),
    _measure("unmet kWh", "what drivers lack at departure", "unmet_kwh", ".1f"),
    _measure(
        "rebound kWh",
        "what comes back of what awards moved",
        "rebound_kwh",
        ".1f",
        short=False,
    ),
    Column("seconds", "that the cell took", lambda _, row: f"{row.seconds:.0f}"),
)
