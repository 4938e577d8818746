"""An aggregator's sites in its table: where chargers are, who comes to them, and what else is behind their meters."""

from math import ceil
from typing import Annotated, Final, Self
from zlib import crc32

from pydantic import Field, model_validator

from aggregator_agents.fleet import Rotation, Session, Site
from aggregator_agents.premises import Premises, PremisesTable
from aggregator_agents.retail import RetailPrices
from aggregator_agents.sessions import Pattern, announced
from aggregator_agents.site_file import Fuse, NamedSite, too_small
from api_spec.defects import Place, refuse
from api_spec.period import MarketPeriod
from api_spec.units import Count, Fraction, Message

_OF_EQUALS: Final = (
    "buses",
    "adoption",
    "chargers",
    "plugs_per_charger",
    "fuse_a",
    "charger_a",
    "rotations",
    "other_a",
    "margin_a",
)


class SiteTable(Message):
    """Sites, who comes to them, and what else is behind their meters. Amps per phase; see aggregator_agents.fleet.Site.

    file : a site from a file, by its path, or by its name where it ships with flexmarket. Instead of that, equal sites
    at `buses`: rotations : of their chargers in turn. adoption : the share of these buses where somebody has a vehicle,
    in an order that their names alone decide: a larger share adds drivers, and those who were there stay.

    premises : behind every meter, of the same kind but with habits of their own. prices : what energy costs behind the
    meter, absent = nothing but the aggregator's own valuation.
    """

    file: NamedSite | None = None
    buses: tuple[str, ...] = ()
    adoption: Fraction = 1.0
    chargers: int = Field(default=1, strict=True, ge=1, le=1000)
    plugs_per_charger: int = Field(default=1, strict=True, ge=1, le=4)
    fuse_a: Fuse | None = None
    charger_a: int = Field(default=16, strict=True, ge=6, le=80)
    rotations: Annotated[tuple[Rotation, ...], Field(min_length=1)] = ("RST",)
    other_a: Count = 0
    margin_a: Count = 0
    sessions: Pattern
    premises: PremisesTable = PremisesTable()
    prices: RetailPrices | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        defects = self._of_file() if self.file is not None else self._of_equals()
        # The next check counts on sites.
        refuse("SiteTable", defects)
        refuse("SiteTable", [*self._of_vehicles(), *self._of_premises()])
        return self

    def sites(self) -> tuple[Site, ...]:
        """The site of the file, or one at each bus where somebody has a vehicle."""
        if self.file is not None:
            return (self.file.site(),)
        first = sorted(self.buses, key=lambda bus: (crc32(bus.encode()), bus))[: round(self.adoption * len(self.buses))]
        return tuple(self._at(bus) for bus in self.buses if bus in first)

    def _at(self, bus: str) -> Site:
        assert self.fuse_a is not None, "a table without a file has one"
        return Site.of(
            bus,
            chargers=self.chargers,
            plugs_per_charger=self.plugs_per_charger,
            fuse_a=self.fuse_a,
            charger_a=self.charger_a,
            other_a=self.other_a,
            margin_a=self.margin_a,
            rotations=self.rotations,
        )

    @property
    def _example(self) -> Site:
        """What every one of its sites is like."""
        return self.file.site() if self.file is not None else self._at(self.buses[0])

    def within(self, site: Site, period: MarketPeriod, *, seed: int) -> tuple[Session, ...]:
        """Who is announced at one of these sites, the part in `period`; without those who want and give nothing."""
        inside = (each.within(period) for each in announced(site, self.sessions, period, seed=seed))
        return tuple(each for each in inside if each.energy_wh > 0 or each.vehicle.discharge_a > 0)

    def behind(self, site: Site, *, seed: int) -> Premises:
        """What else is behind the meter of one of these sites."""
        return Premises(self.premises, site.bus, seed)

    def _of_file(self) -> list[tuple[Place, str]]:
        changed = [name for name in _OF_EQUALS if getattr(self, name) != type(self).model_fields[name].default]
        return [((name,), "is what the file says") for name in changed]

    def _of_equals(self) -> list[tuple[Place, str]]:
        if not self.buses or self.fuse_a is None:
            missing = [name for name in ("buses", "fuse_a") if not getattr(self, name)]
            return [((name,), "is needed, or a file") for name in missing]
        return too_small(self.fuse_a, margin_a=self.margin_a, other_a=self.other_a)

    def _of_vehicles(self) -> list[tuple[Place, str]]:
        """Every kind of vehicle must be able to charge at every plug."""
        least_a = min(min(plug.max_a, charger.max_a) for charger in self._example.chargers for plug in charger.plugs)
        return [
            (("sessions", "vehicles", "kinds", at, "min_a"), f"must be at most {least_a}, what the smallest plug gives")
            for at, kind in enumerate(self.sessions.vehicles.kinds)
            if kind.min_a > least_a
        ]

    def _of_premises(self) -> list[tuple[Place, str]]:
        """The fuse must hold while nothing is known of what else is drawn."""
        most_a = ceil(max(self.premises.most_a))
        if self._example.other_a >= most_a:
            return []
        return [(("other_a",), f"must be at least {most_a}, what the premises may draw on a phase")]
