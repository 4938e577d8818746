"""`flexmarket study instruments`, as far as it goes without running anything."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from market.cli import app


def refused(*arguments: str) -> str:
    answer = CliRunner().invoke(app, ["study", "instruments", *arguments])
    assert answer.exit_code == 2
    return answer.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--instruments", "magic"), 'no instrument "magic"; there are dumb, dimming'),
        (("--penetration", "50,150"), "between 0 and 100 %"),
        (("--with", "/nowhere.toml"), "/nowhere.toml: cannot be read"),
        (("/nowhere.toml",), "/nowhere.toml: cannot be read"),
        (("risoe-home",), 'no scenario "risoe-home" ships with flexmarket (did you mean "risoe-homes"?)'),
    ],
)
def test_what_cannot_be_studied_is_said_before_anything_runs(
    arguments: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    out = tmp_path / "study"
    assert reason in refused(*arguments, "--out", str(out))
    assert not out.exists()
