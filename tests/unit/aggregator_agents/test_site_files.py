"""Sites from files: what ships, what is refused at which key, and tables that name one."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from aggregator_agents.fleet import Vehicle
from aggregator_agents.site_file import BadSiteFile, read_site, shipped_sites
from aggregator_agents.site_table import SiteTable

COMERS = {"arrives_h": 8, "departs_h": 16, "energy_kwh": 10}
YARD = """
bus = "yard"
fuse_a = 40
margin_a = 2
other_a = 10
[[chargers]]
id = "north"
rotation = "TRS"
max_a = 32
plugs = [{ id = "n1", max_a = 16 }, { id = "n2" }]
[[chargers]]
id = "south"
plugs = [{ id = "s1" }]
"""


def test_the_lot_at_risoe_ships_as_it_is() -> None:
    """8 chargers x 2 plugs of 16 A behind 63 A; 63 / 8 = 7 A for each charger alone; phases rotated in turn."""
    assert "risoe" in shipped_sites()
    site = read_site("risoe").site()

    assert (site.bus, site.fuse_a, site.floor_a, site.spare_a) == ("lot", 63, 7, 7)
    assert [len(each.plugs) for each in site.chargers] == [2] * 8
    assert [each.rotation for each in site.chargers] == ["RST", "STR", "TRS"] * 2 + ["RST", "STR"]
    assert {plug.max_a for plug in site.plugs} == {16}


def test_vehicles_on_one_phase_spread_over_all_three_there() -> None:
    site, one_phase = read_site("risoe").site(), Vehicle(phases=1)
    used = [each.phases_of(one_phase) for each in site.chargers]
    assert [used.count((phase,)) for phase in range(3)] == [3, 3, 2]


def test_a_site_of_ones_own_is_named_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "yard.toml"
    file.write_text(YARD)
    site = read_site(str(file)).site()

    assert (site.usable_a, site.floor_a) == (28, 14)
    assert [(each.id, each.charger, each.max_a) for each in site.plugs] == [
        ("n1", "north", 16),
        ("n2", "north", 32),
        ("s1", "south", 16),
    ]
    assert site.charger_of("n2").terminals == (2, 0, 1)


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ('rotation = "TRS"', 'rotation = "TRR"', "yard.toml: chargers.0.rotation: Input should be 'RST'"),
        ('id = "s1"', 'id = "n1"', 'yard.toml: chargers.1.plugs.0.id: "n1" is there twice'),
        ('id = "south"', 'id = "north"', 'yard.toml: chargers.1.id: "north" is there twice'),
        ("fuse_a = 40", "fuse_a = 17", "yard.toml: fuse_a: leaves 5 A besides margin_a and other_a"),
        ("fuse_a = 40", "fuse = 40", "yard.toml: fuse: Extra inputs are not permitted"),
        ("max_a = 32", "max_a = 4", "yard.toml: chargers.0.max_a: Input should be greater than or equal to 6"),
        ("max_a = 32", 'max_a = "32"', "yard.toml: chargers.0.max_a: Input should be a valid integer"),
        ('[[chargers]]\nid = "north"', "[[chargers", "yard.toml: "),
    ],
)
def test_what_is_wrong_with_a_file_is_said_at_its_key(tmp_path: Path, right: str, wrong: str, said: str) -> None:
    file = tmp_path / "yard.toml"
    file.write_text(YARD.replace(right, wrong))
    with pytest.raises(BadSiteFile) as refusal:
        read_site(str(file))
    assert said in str(refusal.value)


def test_a_file_that_is_not_there_and_a_name_that_does_not_ship() -> None:
    with pytest.raises(BadSiteFile, match=r"nowhere\.toml: cannot be read"):
        read_site("nowhere.toml")
    with pytest.raises(BadSiteFile, match=r'no site "risö" ships with flexmarket.*path, which ends in \.toml'):
        read_site("risö")
    with pytest.raises(BadSiteFile, match=r'did you mean "risoe"\?'):
        read_site("riso")


def refused(**table: Any) -> str:
    with pytest.raises(ValidationError) as refusal:
        SiteTable.model_validate({"sessions": COMERS, **table})
    return str(refusal.value)


def test_a_table_takes_a_site_from_a_file_or_describes_equal_ones() -> None:
    named = SiteTable.model_validate({"file": "risoe", "sessions": COMERS})
    (site,) = named.sites()
    assert site == read_site("risoe").site()
    assert SiteTable.model_validate(named.model_dump()) == named, "as the run folder keeps it"

    equal = SiteTable.model_validate(
        {
            "buses": ["a", "b"],
            "chargers": 3,
            "fuse_a": 63,
            "margin_a": 3,
            "rotations": ["RST", "STR"],
            "sessions": COMERS,
        }
    )
    assert [each.bus for each in equal.sites()] == ["a", "b"]
    assert [each.rotation for each in equal.sites()[1].chargers] == ["RST", "STR", "RST"]
    assert equal.sites()[0].usable_a == 60


def test_a_table_that_fits_nothing_is_refused_at_its_key(tmp_path: Path) -> None:
    assert "fuse_a\n  is what the file says" in refused(file="risoe", fuse_a=40)
    assert "file\n  Value error, no site" in refused(file="riso")
    assert "buses\n  is needed, or a file" in refused(fuse_a=40)
    assert "fuse_a\n  is needed, or a file" in refused(buses=["a"])
    assert "fuse_a\n  leaves 4 A" in refused(buses=["a"], fuse_a=12, other_a=8)


def test_a_vehicle_that_could_never_charge_is_refused() -> None:
    mixed = {**COMERS, "vehicles": {"kinds": [{}, {"min_a": 20, "max_a": 32}]}}
    said = refused(file="risoe", sessions=mixed)
    assert "sessions.vehicles.kinds.1.min_a\n  must be at most 16, what the smallest plug gives" in said


def test_premises_that_could_blow_the_fuse_while_unmeasured_are_refused() -> None:
    """100 MWh a year are 11 408 W in the mean; an office peaks at 3.31 of it: 54.7 A a phase without noise."""
    office = {"loads": [{"profile": "office", "annual_kwh": 100_000, "noise": 0}]}
    assert "other_a\n  must be at least 55" in refused(buses=["lot"], fuse_a=125, other_a=54, premises=office)
    (site,) = SiteTable.model_validate(
        {"buses": ["lot"], "fuse_a": 125, "other_a": 55, "premises": office, "sessions": COMERS}
    ).sites()
    assert site.usable_a == 70
