"""README and docs name no file, setting or command that does not exist."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from market.cli import app
from market.settings import Settings

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "BENCHMARKS.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = [
    path.relative_to(ROOT)
    for folder in ("api_spec", "market", "aggregator_agents", "dso_agents", "tests", "examples", "bench", "docs")
    for path in (ROOT / folder).rglob("*")
]
NAMES = {path.name for path in SOURCES} | {path.name for path in ROOT.iterdir()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./-]+\.(?:py|md|toml|json))`", text))
    linked = set(re.findall(r"\]\(([^)#:]+)\)", text))
    assert [each for each in named if not _exists(each)] == []
    assert [each for each in linked if not (page.parent / each).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    named = set(re.findall(r"FLEXMARKET_([A-Z_]+)", page.read_text(encoding="utf-8")))
    assert {each.lower() for each in named} <= set(Settings.model_fields)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    commands = set(re.findall(r"^flexmarket ([a-z]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE))
    for each in commands:
        assert CliRunner().invoke(app, [each, "--help"]).exit_code == 0, each


OF_A_RUN = ("inputs/", "results/")
"""Where a run's own files stand, below its folder."""


def _exists(name: str) -> bool:
    """A path from the root or of a run, or the name of a file whose folder stands before it in the text."""
    if name.startswith(OF_A_RUN):
        return True
    if "/" in name:
        return (ROOT / name).exists()
    return name in NAMES or name.endswith(".json")
