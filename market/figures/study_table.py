"""The tables of a study of instruments, the same at the terminal and in the report."""

from typing import Final

from market.figures.study import Row, Study
from market.figures.study_page import Column, StudyTable


def _figure(
    heading: str, meaning: str, name: str, form: str = ",.0f", *, per_unit: float = 1.0, short: bool = True
) -> Column[Row]:
    return Column(heading, meaning, lambda row: row.figures[name].text(form, per_unit=per_unit), short)


COLUMNS: Final = (
    _figure("fleet kW", "the most that all vehicles draw together", "fleet_peak_w", per_unit=1e3),
    Column[Row]("at", "when that is", lambda row: row.peak_at),
    _figure("of dumb", "that peak in terms of dumb charging's", "over_dumb", ".0%"),
    _figure("avoids", "the part of the time-of-use peak that it avoids", "avoided", ".0%"),
    _figure("grid kW", "the most that the network takes", "peak_w", per_unit=1e3, short=False),
    _figure("load %", "the highest current over its rating", "peak_loading", per_unit=1e-2),
    _figure("over n", "unbroken overloads of one element", "overload_count", short=False),
    _figure("over min", "minutes of overload, over all elements", "overload_minutes"),
    _figure("volt n", "unbroken times of one bus outside of its voltage band", "voltage_violation_count", short=False),
    _figure("volt min", "minutes of that, over all buses", "voltage_violation_minutes"),
    _figure("min pu", "the lowest voltage", "lowest_voltage_pu", ".3f", short=False),
    _figure("loss kWh", "losses of the network", "losses_kwh", ".1f", short=False),
    _figure("flex EUR", "what the DSO pays to the market, less penalties", "dso_flexibility_eur", ".2f"),
    _figure("contr EUR", "what it pays under contracts", "dso_contracts_eur", ".2f"),
    _figure("tariff EUR", "what it gets under the network tariff", "tariff_income_eur", ".2f"),
    _figure("bills EUR", "what drivers pay, energy and network", "drivers_bill_eur", ".2f"),
    _figure("margin EUR", "what is left to aggregators", "aggregator_margin_eur", ".2f"),
    _figure("unmet kWh", "what drivers lack at departure", "unmet_kwh", ".1f"),
    _figure("rebound kWh", "what comes back of what awards moved", "rebound_kwh", ".1f", short=False),
    _figure("seconds", "that the cell took", "seconds"),
)
_OVER_PENETRATION: Final = (
    ("Peak of the fleet [kW], by homes with a vehicle", "fleet_peak_w", ",.0f", 1e3),
    ("That peak in terms of dumb charging's", "over_dumb", ".2f", 1.0),
    ("Part of the time-of-use peak that is avoided", "avoided", ".0%", 1.0),
)
_NO_RATIO: Final = "-"


def study_tables(study: Study) -> tuple[StudyTable, ...]:
    """Peaks over penetration first, then all that was measured at each penetration, the highest first."""
    over = tuple(_over_penetration(study, *each) for each in _OVER_PENETRATION)
    return (*over, *(_at(study, share) for share in reversed(study.penetrations)))


def _over_penetration(study: Study, title: str, figure: str, form: str, per_unit: float) -> StudyTable:
    """A line for each instrument; where there is nothing to compare, because nobody drives, no ratio."""
    shares = study.penetrations
    return StudyTable(
        title=title,
        headings=("Instrument", *(f"{share:.0%}" for share in shares)),
        short=(True,) * (1 + len(shares)),
        lines=tuple(
            (title, *(study.spread(name, share, figure).text(form, per_unit=per_unit) or _NO_RATIO for share in shares))
            for name, title in study.titles.items()
        ),
    )


def _at(study: Study, share: float) -> StudyTable:
    rows = [(row.title, row) for row in study.at(share)]
    return StudyTable.of(f"{share:.0%} of homes with a vehicle", "Instrument", COLUMNS, rows)
