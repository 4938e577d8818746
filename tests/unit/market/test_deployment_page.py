"""The deployment page names nothing that does not exist."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from market.api.monitoring import MarketCollector
from market.clock import SimulatedClock
from market.metrics import REGISTRY
from market.settings import Settings
from market.store import migrate, open_engine

PAGE = (Path(__file__).parents[3] / "docs" / "deployment.md").read_text(encoding="utf-8")


def test_every_setting_that_it_names_exists() -> None:
    named = set(re.findall(r"FLEXMARKET_([A-Z_]+)", PAGE))
    assert len(named) >= 10
    assert {each.lower() for each in named} <= set(Settings.model_fields)


def test_every_metric_in_a_rule_exists_with_the_labels_that_are_asked_for(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'market.db'}")
    migrate(engine)
    clock = SimulatedClock(datetime(2026, 1, 14, 12, tzinfo=UTC))
    families = [*REGISTRY.collect(), *MarketCollector(engine, clock).collect()]
    engine.dispose()
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
    known = {f"{each.name}{ending}" for each in families for ending in endings.get(each.type, ("",))}
    (rules,) = [yaml.safe_load(text) for text in blocks("yaml") if text.startswith("groups:")]
    named = {
        name
        for rule in rules["groups"][0]["rules"]
        for name in re.findall(r"\b(?:flexmarket|process)_[a-z_]+", rule["expr"])
    }

    assert len(named) >= 8
    assert named <= known


def test_an_alert_of_failed_clearings_leaves_out_every_status_of_a_published_result() -> None:
    (told,) = re.findall(r'flexmarket_clearings_total\{outcome!~"([^"]+)"\}', PAGE)
    assert set(told.split("|")) == {"cleared", "partly_cleared", "nothing_needed"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_its_yaml_can_be_read(text: str) -> None:
    assert yaml.safe_load(text)


def test_the_file_may_take_no_more_than_the_market_does() -> None:
    """A proxy's `4m` is 4 MiB: what is too large by a little is told so by the market itself."""
    (megabytes,) = re.findall(r"client_max_body_size (\d+)m;", PAGE)
    assert int(megabytes) * 2**20 >= Settings.model_fields["max_body_bytes"].default
