"""What it costs to build instead: cables and transformers, at unit costs that a file may replace."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from api_spec.defects import Place, refuse, unknown
from api_spec.grid import Network
from api_spec.ids import ElementId
from api_spec.toml_file import read_toml
from api_spec.units import Message, NonNegative, Positive

Ground: TypeAlias = Literal["rural", "urban"]


class UnknownElement(ValueError):
    """Works on something that the network does not have."""


class CableCost(Message):
    """EUR per metre, laid. nominal_v_to : highest nominal voltage that it is for [V]."""

    nominal_v_to: Positive
    rural_eur_per_m: NonNegative
    urban_eur_per_m: NonNegative

    def per_m(self, ground: Ground) -> float:
        """In one kind of ground."""
        return self.rural_eur_per_m if ground == "rural" else self.urban_eur_per_m


class TransformerCost(Message):
    """EUR of a transformer of this rating [VA] in place of one that stands already."""

    rated_va: Positive
    eur: NonNegative


class UnitCosts(Message):
    """Costs of the parts of a network.

    source : where they are from. cables : by voltage, rising. transformers : by rating, rising; between two the cost
    lies on a straight line, and what is larger than the largest is set up of several.
    """

    source: Annotated[str, Field(min_length=1)]
    cables: Annotated[tuple[CableCost, ...], Field(min_length=1)]
    transformers: Annotated[tuple[TransformerCost, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _rising(self) -> Self:
        found: list[tuple[Place, str]] = []
        for name, sizes in (
            ("cables", [each.nominal_v_to for each in self.cables]),
            ("transformers", [each.rated_va for each in self.transformers]),
        ):
            falling = [at for at in range(1, len(sizes)) if sizes[at] <= sizes[at - 1]]
            found += [((name, at), "must be larger than the one before") for at in falling]
        refuse("UnitCosts", found)
        return self

    def cable_eur(self, length_m: float, *, nominal_v: float, ground: Ground) -> float:
        """A cable of this length, laid; the dearest kind where the voltage is higher than all."""
        fitting = next((each for each in self.cables if nominal_v <= each.nominal_v_to), self.cables[-1])
        return length_m * fitting.per_m(ground)

    def transformer_eur(self, rated_va: float) -> float:
        """Transformers of this rating together; none is cheaper than the smallest."""
        largest = self.transformers[-1]
        whole, rest = divmod(rated_va, largest.rated_va)
        total = whole * largest.eur
        if rest == 0:
            return total
        smaller = self.transformers[0]
        for each in self.transformers:
            if rest <= each.rated_va:
                share = (rest - smaller.rated_va) / (each.rated_va - smaller.rated_va) if each is not smaller else 0.0
                return total + smaller.eur + share * (each.eur - smaller.eur)
            smaller = each
        raise AssertionError("the rest is less than the largest rating")


class Works(Message):
    """What would be built.

    cables : lines that get a second cable beside them, and its length [m]. transformers : that are replaced, and the
    rating of the new one [VA]. other_eur : what no unit cost stands for, such as stations and planning.
    """

    cables: dict[ElementId, Positive] = Field(default_factory=dict)
    transformers: dict[ElementId, Positive] = Field(default_factory=dict)
    other_eur: NonNegative = 0.0
    ground: Ground = "urban"

    def cost_eur(self, network: Network | None, costs: UnitCosts) -> float:
        """Of all of it. Raises UnknownElement; a network is needed for cables and transformers."""
        total = self.other_eur
        nominal_v = {} if network is None else {bus.id: bus.nominal_v for bus in network.buses}
        lines = {} if network is None else {line.id: nominal_v[line.from_bus] for line in network.lines}
        transformers = () if network is None else tuple(each.id for each in network.transformers)
        for name, length_m in self.cables.items():
            if name not in lines:
                raise UnknownElement(f"works.cables: {unknown('line', name, tuple(lines), _on(network))}")
            total += costs.cable_eur(length_m, nominal_v=lines[name], ground=self.ground)
        for name, rated_va in self.transformers.items():
            if name not in transformers:
                raise UnknownElement(f"works.transformers: {unknown('transformer', name, transformers, _on(network))}")
            total += costs.transformer_eur(rated_va)
        return total


def read_unit_costs(path: Path | None = None) -> UnitCosts:
    """Those in a TOML file, or those that ship; api_spec.toml_file.BadFile says what is wrong at which key."""
    if path is None:
        return read_toml(files(__package__) / "unit_costs.toml", UnitCosts, name="unit_costs.toml")
    return read_toml(path, UnitCosts)


def _on(network: Network | None) -> str:
    return "without a network" if network is None else f'on network "{network.name}"'
