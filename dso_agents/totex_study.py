"""A TOTEX study as a TOML file: what operation costs at some shares of electric vehicles, from runs or from figures."""

import json
from pathlib import Path
from typing import Annotated, Final, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from pydantic import Field, ValidationError, model_validator

from api_spec.defects import Place, refuse
from api_spec.grid import Network
from api_spec.toml_file import read_toml
from api_spec.units import Fraction, Message, NonNegative, Real
from dso_agents.reinforcement import Works, read_unit_costs
from dso_agents.totex import Curve, Outlook
from market.network.feeders import feeder

_NETWORK: Final = Path("inputs") / "network.json"
_MEASURES: Final = Path("results") / "measures.parquet"
_LONGEST_YEAR: Final = 366
_ROUNDING: Final = 1e-6


class RunUnusable(ValueError):
    """A run folder without the measures, or the network, that a study needs."""


class DayFigures(Message):
    """What one day of operation comes to; the names are those of a run's measures (market.simulation.measures)."""

    dso_flexibility_eur: Real = 0.0
    dso_contracts_eur: Real = 0.0
    losses_kwh: Real = 0.0
    overload_minutes: NonNegative = 0.0
    voltage_violation_minutes: NonNegative = 0.0
    transformer_ageing_h: NonNegative = 0.0


class Days(Message):
    """Days of a year that are alike. run : folder of a simulation, the mean of whose deliveries counts; or figures."""

    days_per_year: Annotated[float, Field(gt=0, le=366)]
    run: Path | None = None
    figures: DayFigures | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.run is None) == (self.figures is None):
            refuse("Days", [((), "needs either run or figures")])
        return self


class Point(Message):
    """A share of electric vehicles. flexible, reinforced : the kinds of day of a year without and with the works."""

    ev_share: Fraction
    flexible: Annotated[tuple[Days, ...], Field(min_length=1)]
    reinforced: Annotated[tuple[Days, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _as_many_days(self) -> Self:
        without, built = (sum(each.days_per_year for each in days) for days in (self.flexible, self.reinforced))
        defects: list[tuple[Place, str]] = []
        if without > _LONGEST_YEAR:
            defects.append((("flexible",), f"is {without:g} days a year"))
        if abs(without - built) > _ROUNDING:
            defects.append((("reinforced",), f"is {built:g} days a year, where flexible is {without:g}"))
        refuse("Point", defects)
        return self


class Prices(Message):
    """What is not paid on the market, but costs.

    losses_eur_per_mwh : energy of losses. overload_eur_per_h, voltage_eur_per_h : an hour in which one element or bus
    is outside its limits: wear, claims, what a regulator charges. ageing_eur_per_h : an hour of a transformer's life,
    its price over the 180 000 h of IEC 60076-7.
    """

    losses_eur_per_mwh: NonNegative = 0.0
    overload_eur_per_h: NonNegative = 0.0
    voltage_eur_per_h: NonNegative = 0.0
    ageing_eur_per_h: NonNegative = 0.0

    def day_eur(self, day: DayFigures) -> float:
        """One day of operation [EUR]."""
        return (
            day.dso_flexibility_eur
            + day.dso_contracts_eur
            + day.losses_kwh / 1e3 * self.losses_eur_per_mwh
            + day.overload_minutes / 60 * self.overload_eur_per_h
            + day.voltage_violation_minutes / 60 * self.voltage_eur_per_h
            + day.transformer_ageing_h * self.ageing_eur_per_h
        )


class TotexStudy(Message):
    """Flexibility against works, over years.

    ev_share, growth_per_year, most : of electric vehicles now, more every year, at most. feeder, network : that the
    works are on, shipped or as a JSON file; absent = that of the first run. unit_costs : TOML file instead of those
    that ship. points : in the order of rising ev_share.
    """

    first_year: Annotated[int, Field(strict=True, ge=1900, le=3000)]
    years: Annotated[int, Field(strict=True, ge=1, le=100)] = 20
    discount_rate: Annotated[float, Field(ge=0, le=1)] = 0.05
    life_years: Annotated[int, Field(strict=True, ge=1, le=200)] = 40
    ev_share: Fraction
    growth_per_year: NonNegative
    most: Fraction = 1.0
    prices: Prices = Prices()
    works: Works
    unit_costs: Path | None = None
    feeder: str | None = None
    network: Path | None = None
    points: Annotated[tuple[Point, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _rising(self) -> Self:
        shares = [each.ev_share for each in self.points]
        found: list[tuple[Place, str]] = [
            (("points", at, "ev_share"), "must be larger than the one before")
            for at in range(1, len(shares))
            if shares[at] <= shares[at - 1]
        ]
        if self.feeder is not None and self.network is not None:
            found.append((("network",), "is given by feeder already"))
        refuse("TotexStudy", found)
        return self

    def outlook(self) -> Outlook:
        """What is compared. Raises RunUnusable, UnknownFeeder, UnknownElement, BadFile for what cannot be used."""
        shares = tuple(each.ev_share for each in self.points)
        return Outlook(
            years=self.years,
            rate=self.discount_rate,
            share=self.ev_share,
            growth_per_year=self.growth_per_year,
            most=self.most,
            investment_eur=self.works.cost_eur(self._network(), read_unit_costs(self.unit_costs)),
            life_years=self.life_years,
            flexible=Curve(shares, tuple(self._year_eur(each.flexible) for each in self.points)),
            reinforced=Curve(shares, tuple(self._year_eur(each.reinforced) for each in self.points)),
        )

    def _year_eur(self, days: tuple[Days, ...]) -> float:
        return sum(each.days_per_year * self.prices.day_eur(each.figures or run_figures(each.run)) for each in days)

    def _network(self) -> Network | None:
        if self.feeder is not None:
            return feeder(self.feeder).network
        runs = [days.run for point in self.points for days in point.flexible if days.run is not None]
        file = self.network or next((run / _NETWORK for run in runs), None)
        if file is None:
            return None
        try:
            return Network.model_validate_json(file.read_text(encoding="utf-8"))
        except (OSError, ValidationError) as failure:
            raise RunUnusable(f"{file}: holds no network") from failure


def run_figures(run: Path | None) -> DayFigures:
    """The mean of all deliveries of a run folder; of its whole where it has no measures by delivery."""
    assert run is not None, "either figures or a run is given"
    try:
        if (run / _MEASURES).is_file():
            table = pa.parquet.read_table(run / _MEASURES)
            return DayFigures(**{name: float(pc.mean(table[name]).as_py()) for name in DayFigures.model_fields})
        measures = json.loads((run / "measures.json").read_text(encoding="utf-8"))
        return DayFigures(**{name: measures[name] for name in DayFigures.model_fields})
    except (OSError, ValueError, KeyError, pa.ArrowException) as failure:
        raise RunUnusable(f"{run}: holds no measures of a simulation ({failure})") from failure


def read_totex_study(path: Path) -> TotexStudy:
    """The study in a TOML file, which names others as seen from its folder; BadFile says what is wrong at which key."""
    return read_toml(path, TotexStudy)
