"""Requests that nobody would write, generated from the whole OpenAPI document: never a 5xx, always a problem."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from api_spec.client import MarketClient
from api_spec.problem import Problem
from market.api.spec import FOLDER
from market.settings import Settings
from tests.running_market import RunningMarket, running_market
from tests.street_auction import NOON, open_street

ENDLESS: Final = ["/v1/events"]
"""What does not end by itself."""
_turns = count()
schema = schemathesis.openapi.from_dict(json.loads((FOLDER / "openapi.json").read_text(encoding="utf-8"))).exclude(
    path=ENDLESS
)


@dataclass(frozen=True)
class Known:
    """A market with something in it: who may ask, and what there is, by the names of path parameters."""

    url: str
    bearers: tuple[str, ...]
    ids: dict[str, str]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    folder = tmp_path_factory.mktemp("market")
    with running_market(folder, now=NOON, settings=Settings(token_ttl=timedelta(days=2))) as market:
        yield asyncio.run(_known(market))


async def _known(market: RunningMarket) -> Known:
    async with open_street(market) as street:
        await street.ask()
        await street.offer()
        (request,) = await street.dso.requests(street.auction)
        (offer,) = await street.aggregators[0].offers(street.auction)
        clients: tuple[MarketClient, ...] = (street.operator, street.dso, street.aggregators[0])
        bearers = tuple([(await each._bearer())["Authorization"] for each in clients])
        ids = {"auction": street.auction, "request": request.request.id, "offer": offer.offer.id, "name": "street"}
        return Known(market.url, bearers, ids)


@schema.parametrize()
@settings(max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_no_request_breaks_the_market(case: schemathesis.Case[Any], known: Known) -> None:
    # Everybody asks in turn, for what there is and for what there is not.
    turn = next(_turns)
    if turn % 2:
        there = {name: known.ids[name] for name in case.path_parameters or {} if name in known.ids}
        case.path_parameters = {**(case.path_parameters or {}), **there}
    bearer = known.bearers[turn // 2 % len(known.bearers)]
    answer: Any = case.call(base_url=known.url, headers={"Authorization": bearer})
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == ["application/problem+json"]
        assert Problem.model_validate_json(answer.content).status == answer.status_code
