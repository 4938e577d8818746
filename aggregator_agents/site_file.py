"""The TOML file of a site: its connection, its chargers with their plugs, and how they are wired.

    bus = "lot"
    fuse_a = 63
    [[chargers]]
    id = "lot-1"
    rotation = "RST"
    plugs = [{ id = "lot-1-1" }, { id = "lot-1-2" }]

Some ship with flexmarket, in `sites/`; they are read by their name alone.
"""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, model_validator

from aggregator_agents.dispatch.lease import Id
from aggregator_agents.fleet import MIN_A, Charger, Plug, Rotation, Site
from api_spec.defects import Place, duplicates, refuse, unknown
from api_spec.file_names import TomlPath
from api_spec.ids import BusId
from api_spec.toml_file import BadFile, read_toml
from api_spec.units import Count, Message

_SHIPPED: Final = "sites"
_LargestPlug = Annotated[int, Field(strict=True, ge=MIN_A, le=80)]
Fuse = Annotated[int, Field(strict=True, ge=MIN_A, le=4000)]


class BadSiteFile(ValueError):
    """A file that describes no site; one line for each defect: file, key and reason."""


class PlugEntry(Message):
    """A socket; see aggregator_agents.fleet.Plug. max_a : absent = its charger's."""

    id: Id
    max_a: _LargestPlug | None = None


class ChargerEntry(Message):
    """A charger; see aggregator_agents.fleet.Charger. id : also the one by which it introduces itself over OCPP."""

    id: Id
    rotation: Rotation = "RST"
    max_a: Annotated[int, Field(strict=True, ge=MIN_A, le=400)] = 16
    plugs: Annotated[tuple[PlugEntry, ...], Field(min_length=1, max_length=16)]


class SiteFile(Message):
    """A site; see aggregator_agents.fleet.Site. title : for people. yields_floors : docs/charging.md."""

    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    bus: BusId
    fuse_a: Fuse
    margin_a: Count = 0
    other_a: Count = 0
    yields_floors: bool = False
    chargers: Annotated[tuple[ChargerEntry, ...], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        chargers = [each.id for each in self.chargers]
        places = [(at, k) for at, each in enumerate(self.chargers) for k in range(len(each.plugs))]
        plugs = [self.chargers[at].plugs[k].id for at, k in places]
        defects: list[tuple[Place, str]] = [
            (("chargers", at, "id"), f'"{id}" is there twice') for at, id in duplicates(chargers)
        ]
        for nth, id in duplicates(plugs):
            at, k = places[nth]
            defects.append((("chargers", at, "plugs", k, "id"), f'"{id}" is there twice'))
        defects += too_small(self.fuse_a, margin_a=self.margin_a, other_a=self.other_a)
        refuse("SiteFile", defects)
        return self

    def site(self) -> Site:
        """What the file describes."""
        chargers = tuple(
            Charger(
                id=each.id,
                plugs=tuple(Plug(plug.id, each.id, plug.max_a or each.max_a) for plug in each.plugs),
                max_a=each.max_a,
                rotation=each.rotation,
            )
            for each in self.chargers
        )
        return Site(self.bus, self.fuse_a, chargers, self.other_a, self.margin_a, yields_floors=self.yields_floors)


def too_small(fuse_a: int, *, margin_a: int, other_a: int) -> list[tuple[Place, str]]:
    """A fuse that leaves nothing to charge with, as a defect; all per phase [A]."""
    left_a = fuse_a - margin_a - other_a
    if left_a >= MIN_A:
        return []
    sentence = f"leaves {left_a} A besides margin_a and other_a, and no vehicle charges with less than {MIN_A} A"
    return [(("fuse_a",), sentence)]


def shipped_sites() -> tuple[str, ...]:
    """Names of all sites that ship with flexmarket."""
    folder = files("aggregator_agents") / _SHIPPED
    return tuple(sorted(each.name.removesuffix(".toml") for each in folder.iterdir() if each.name.endswith(".toml")))


def read_site(name: str) -> SiteFile:
    """The site that ships under `name`, or in the file of that path, which ends in .toml.

    BadSiteFile says what is wrong at which key.
    """
    if name.endswith(".toml"):
        return _read(Path(name), name)
    if name not in shipped_sites():
        reason = unknown("site", name, shipped_sites(), "ships with flexmarket")
        raise BadSiteFile(f"{reason}; a file of your own is named by its path, which ends in .toml")
    file = f"{name}.toml"
    return _read(files("aggregator_agents") / _SHIPPED / file, file)


def _read(file: Path | Traversable, name: str) -> SiteFile:
    try:
        return read_toml(file, SiteFile, name=name)
    except BadFile as failure:
        raise BadSiteFile(str(failure)) from failure


def _known(given: Any) -> Any:
    return read_site(given) if isinstance(given, str) else given


NamedSite = Annotated[SiteFile, BeforeValidator(_known, json_schema_input_type=TomlPath | SiteFile)]
"""A site that is given by its name or path, or as a whole."""
