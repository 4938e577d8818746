"""`flex-aggregator chargers`: what is wrong with its file, at which key."""

from pathlib import Path

from typer.testing import CliRunner

from aggregator_agents.cli import app

WRONG = """
url = "http://localhost/ocpp"
[[charge_points]]
id = "lot-1"
plugs = 2
version = "1.5"
[[charge_points]]
id = "lot-3"
[[charge_points.arrivals]]
plug = 3
wants_wh = -1
[[charge_points]]
id = "lot-2"
"""
RIGHT = 'url = "ws://localhost/ocpp"\n[[charge_points]]\nid = "lot-1"\n'


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["chargers", *arguments])
    assert result.exit_code == 2
    return result.output


def test_every_defect_is_told_at_its_key(tmp_path: Path) -> None:
    file = tmp_path / "chargers.toml"
    file.write_text(WRONG)
    lines = refused("--config", str(file)).splitlines()

    assert [line.split(": ")[1] for line in lines] == [
        "url",
        "charge_points.0.version",
        "charge_points.1.arrivals.0.wants_wh",
    ]
    file.write_text(WRONG.replace("http:", "ws:").replace("1.5", "1.6").replace("-1\n", "1\n"))
    assert refused("--config", str(file)) == f"{file}: charge_points.1.arrivals.0.plug: lot-3 has 2 plugs, not 3\n"
    file.write_text(RIGHT + '[[charge_points]]\nid = "lot-1"\n')
    assert refused("--config", str(file)) == f'{file}: charge_points.1.id: "lot-1" stands before\n'


def test_a_charger_that_is_not_in_the_file_is_not_run(tmp_path: Path) -> None:
    file = tmp_path / "chargers.toml"
    file.write_text(RIGHT)

    assert refused("--config", str(file), "--only", "lot-3") == f'{file}: no charge point "lot-3"\n'
    assert "cannot be read" in refused("--config", str(tmp_path / "nothing.toml"))
