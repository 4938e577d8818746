"""Requests that nobody would write, generated from the whole OpenAPI document: never a 5xx, always a problem."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema

from api_spec.problem import Problem
from market.api.spec import FOLDER
from market.settings import Settings
from tests.everything import everything
from tests.running_market import RunningMarket, running_market
from tests.street_auction import NOON

ENDLESS: Final = ["/v1/events"]
"""What does not end by itself."""
SETTINGS: Final = Settings(token_ttl=timedelta(days=4_000), webhooks_allow_private=True)
_turns = count()


def described(*, every_boundary: bool) -> BaseSchema:
    """All that the market's contract says can be asked, with or without a request for each boundary of each value."""
    config = SchemathesisConfig()
    boundaries = config.projects.default.phases.coverage
    boundaries.enabled, boundaries.unexpected_methods = every_boundary, set()
    contract = json.loads((FOLDER / "openapi.json").read_text(encoding="utf-8"))
    return schemathesis.openapi.from_dict(contract, config=config).exclude(path=ENDLESS)


often = settings(
    max_examples=3, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@dataclass(frozen=True)
class Known:
    """Who may ask, and what there is: ids by the names of path parameters, of a settled and of an open auction."""

    url: str
    bearers: tuple[str, ...]
    settled: dict[str, str]
    open: dict[str, str]


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    yield from known(tmp_path_factory.mktemp("market"), None)


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory: pytest.TempPathFactory, postgres_market_url: str) -> Iterator[Known]:
    yield from known(tmp_path_factory.mktemp("market"), postgres_market_url)


def known(folder: Path, database_url: str | None) -> Iterator[Known]:
    with running_market(folder, now=NOON, settings=SETTINGS, send_webhooks=True, database_url=database_url) as market:
        yield asyncio.run(_known(market))


async def _known(market: RunningMarket) -> Known:
    async with everything(market) as there:
        bearers = tuple([(await each._bearer())["Authorization"] for each in there.clients])
        return Known(market.url, bearers, dict(there.ids), dict(there.spare))


@described(every_boundary=False).parametrize()
@often
def test_no_request_breaks_the_market(case: schemathesis.Case[Any], on_sqlite: Known) -> None:
    ask(case, on_sqlite)


@described(every_boundary=True).parametrize()
@settings(often, max_examples=1)
def test_no_request_breaks_a_market_on_postgres(case: schemathesis.Case[Any], on_postgres: Known) -> None:
    """Some 8500 more, since this database has the narrower types."""
    ask(case, on_postgres)


def ask(case: schemathesis.Case[Any], known: Known) -> None:
    """Everybody asks in turn: for what there is, of a settled or an open auction, and for what there is not."""
    turn = next(_turns)
    bearer = known.bearers[turn // 3 % len(known.bearers)]
    ids: dict[str, str] = ({}, known.open, known.settled if case.method != "DELETE" else known.open)[turn % 3]
    there = {name: ids[name] for name in case.path_parameters or {} if name in ids}
    case.path_parameters = {**(case.path_parameters or {}), **there}
    answer: Any = case.call(base_url=known.url, headers={"Authorization": bearer})
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == ["application/problem+json"]
        assert Problem.model_validate_json(answer.content).status == answer.status_code
