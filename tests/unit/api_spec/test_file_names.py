"""Files that a document names are relative to the file that they stand in, wherever in it that is."""

import contextlib
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from aggregator_agents.agent import AggregatorConfig
from api_spec.file_names import file_places
from api_spec.toml_file import BadFile, read_toml
from api_spec.units import Message


class Inner(Message):
    file: Path | None = None


class Outer(Message):
    prices: Annotated[Path, Field(description="of energy")]
    title: str = ""
    inner: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = Field(default_factory=dict)
    by_pattern: dict[Annotated[str, Field(pattern="^[a-z]+$")], Inner] = Field(default_factory=dict)
    pair: tuple[int, Path] | None = None


DOCUMENT: dict[str, Any] = {
    "prices": "day-ahead.csv",
    "title": "no-file.csv",
    "inner": [{}, {"file": "/abs/b.json"}],
    "by_name": {"x": {"file": "../c.json"}},
    "by_pattern": {"y": {"file": "e.json"}},
    "pair": [1, "d.txt"],
}


def test_what_is_of_type_path_is_a_file_and_nothing_else() -> None:
    assert dict(file_places(Outer, DOCUMENT)) == {
        ("prices",): Path("day-ahead.csv"),
        ("inner", 1, "file"): Path("/abs/b.json"),
        ("by_name", "x", "file"): Path("../c.json"),
        ("by_pattern", "y", "file"): Path("e.json"),
        ("pair", 1): Path("d.txt"),
    }


def test_a_site_is_a_file_where_its_name_ends_in_toml() -> None:
    """The other two: one that ships with flexmarket, and one that is written out."""
    sites = [{"file": "yard.toml"}, {"file": "risoe"}, {"file": {"title": "x.toml"}}]
    assert dict(file_places(AggregatorConfig, {"sites": sites})) == {("sites", 0, "file"): Path("yard.toml")}


def test_a_type_without_a_schema_hides_no_file_beside_it() -> None:
    class Own(BaseModel):
        model_config = {"arbitrary_types_allowed": True}
        held: complex = 0j
        anything: object = None
        file: Path | None = None

    assert dict(file_places(Own, {"file": "x", "anything": "y"})) == {("file",): Path("x")}


def test_names_in_a_toml_file_are_seen_from_its_folder(tmp_path: Path) -> None:
    """Whatever the present folder is; what is absolute stays."""
    (tmp_path / "there").mkdir()
    file = tmp_path / "there" / "own.toml"
    file.write_text(
        'prices = "day-ahead.csv"\ninner = [{ file = "/abs/b.json" }]\nby_name.x = { file = "../c.json" }\n'
    )
    with contextlib.chdir(tmp_path):
        read = read_toml(Path("there/own.toml"), Outer)
    assert read.prices == tmp_path / "there" / "day-ahead.csv"
    assert read.inner[0].file == Path("/abs/b.json")
    assert read.by_name["x"].file == tmp_path / "c.json"


@pytest.mark.parametrize("wrong", [3, ["a"], {"b": 1}])
def test_what_is_no_name_is_left_to_whoever_reads_it(wrong: Any) -> None:
    assert list(file_places(Outer, {"prices": wrong, "inner": wrong, "by_name": wrong, "pair": wrong})) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('prises = "a.csv"', 'prises: Extra inputs are not permitted (did you mean "prices"?)'),
        ('inner = [{ fil = "a" }]', 'inner.0.fil: Extra inputs are not permitted (did you mean "file"?)'),
        ('by_name.x = { fil = "a" }', 'by_name.x.fil: Extra inputs are not permitted (did you mean "file"?)'),
        ('by_pattern.y = { fil = "a" }', 'by_pattern.y.fil: Extra inputs are not permitted (did you mean "file"?)'),
        ("nothing_alike = 1", "nothing_alike: Extra inputs are not permitted"),
    ],
)
def test_of_a_key_that_is_not_there_the_nearest_one_is_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(BadFile) as refusal:
        read_toml(tmp_path / "own.toml", Outer)
    assert f"{tmp_path / 'own.toml'}: {said}" in str(refusal.value).splitlines()
