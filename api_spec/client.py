"""MarketClient: the market's HTTP API, one method per endpoint."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any, Final, Literal, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from api_spec.auction import (
    Auction,
    AuctionState,
    AuctionTerms,
    BookEntry,
    OfferReceipt,
    PublishedResult,
    RequestReceipt,
)
from api_spec.audit import ConsistencyProof, InclusionProof, TreeHead
from api_spec.award import Award
from api_spec.flexibility import AnyOfferTerms, AnyRequestTerms
from api_spec.grid import Network
from api_spec.ids import AuctionId, NetworkId, OfferId, RequestId
from api_spec.metering import Baseline, BaselineNomination, BusPower, Forecast, Reading, ReadingTerms
from api_spec.organisation import Credentials, Organisation, OrganisationTerms, Token
from api_spec.problem import Problem, ProblemType
from api_spec.settlement import Statement, Transfer

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

ATTEMPTS: Final = 4
FIRST_WAIT_S: Final = 0.2
_TRY_AGAIN: Final = frozenset({502, 503, 504})


class MarketError(Exception):
    """Base of what a MarketClient raises."""


class MarketUnreachable(MarketError):
    """No answer came, also after repeated attempts; whether the market acted is unknown."""


class MarketRefused(MarketError):
    """The market answered with a problem."""

    def __init__(self, problem: Problem) -> None:
        """Keep the problem; its defects stand in the message."""
        defects = "".join(f"\n  {each.pointer}: {each.detail}" for each in problem.errors)
        super().__init__(f"{problem.status} {problem.title}: {problem.detail}{defects}")
        self.problem = problem


class MarketClient:
    """One organisation's connection to a market; an async context manager.

    Every POST carries an Idempotency-Key, so a repeated attempt after a lost answer is executed once. Attempts are
    repeated after connection failures and 502, 503 and 504, with growing, jittered pauses.
    """

    def __init__(
        self,
        base_url: str,
        credentials: Credentials | None = None,
        *,
        timeout_s: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Connect lazily to `base_url`; without credentials only public endpoints answer."""
        self._http = httpx.AsyncClient(base_url=base_url, timeout=timeout_s, transport=transport)
        self._credentials = credentials
        self._token: str | None = None

    async def __aenter__(self) -> Self:
        """Enter."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._http.aclose()

    # organisations

    async def register_organisation(self, terms: OrganisationTerms, *, key: str | None = None) -> Credentials:
        """Operator: register an organisation; the answer holds its secret, once."""
        return await self._post("/v1/organisations", terms, Credentials, key=key)

    async def me(self) -> Organisation:
        """The organisation these credentials belong to."""
        return await self._get("/v1/organisations/me", Organisation)

    # networks

    async def register_network(self, network: Network, *, key: str | None = None) -> Network:
        """DSO: register a network of its own; its name is its id."""
        return await self._post("/v1/networks", network, Network, key=key)

    async def network(self, network: NetworkId) -> Network:
        """DSO (its own) and operator: a registered network."""
        return await self._get(f"/v1/networks/{quote(network, safe='')}", Network)

    # auctions

    async def open_auction(self, terms: AuctionTerms, *, key: str | None = None) -> Auction:
        """DSO: open an auction on a network of its own."""
        return await self._post("/v1/auctions", terms, Auction, key=key)

    async def auctions(self, *, state: AuctionState | None = None) -> tuple[Auction, ...]:
        """All auctions, page by page, oldest first."""
        query = {} if state is None else {"state": state}
        return tuple([each async for each in self._pages("/v1/auctions", Auction, query)])

    async def auction(self, auction: AuctionId) -> Auction:
        """One auction."""
        return await self._get(f"/v1/auctions/{auction}", Auction)

    async def submit_forecast(self, auction: AuctionId, forecast: Forecast) -> Forecast:
        """DSO: set (or replace, until the gate) the forecast of what no aggregator nominates."""
        return await self._put(f"/v1/auctions/{auction}/forecast", forecast, Forecast)

    # requests

    async def submit_request(
        self, auction: AuctionId, request: AnyRequestTerms, *, key: str | None = None
    ) -> RequestReceipt:
        """DSO: ask for flexibility, until gate closure."""
        return await self._post(f"/v1/auctions/{auction}/requests", request, RequestReceipt, key=key)

    async def requests(self, auction: AuctionId) -> tuple[RequestReceipt, ...]:
        """The auction's requests; aggregators read them without the DSO's maximum price."""
        return tuple([each async for each in self._pages(f"/v1/auctions/{auction}/requests", RequestReceipt)])

    async def withdraw_request(self, auction: AuctionId, request: RequestId) -> None:
        """DSO: withdraw a request, until gate closure."""
        await self._send("DELETE", f"/v1/auctions/{auction}/requests/{request}")

    # baselines and offers

    async def nominate_baseline(self, auction: AuctionId, nomination: BaselineNomination) -> Baseline:
        """Aggregator: nominate (or replace, until the gate) the baseline of all its resources."""
        return await self._put(f"/v1/auctions/{auction}/baseline", nomination, Baseline)

    async def baseline(self, auction: AuctionId) -> Baseline:
        """Aggregator: its own nominated baseline."""
        return await self._get(f"/v1/auctions/{auction}/baseline", Baseline)

    async def bus_baselines(self, auction: AuctionId) -> tuple[BusPower, ...]:
        """DSO of the auction: nominated baselines, summed per bus."""
        return tuple([each async for each in self._pages(f"/v1/auctions/{auction}/bus-baselines", BusPower)])

    async def submit_offer(self, auction: AuctionId, offer: AnyOfferTerms, *, key: str | None = None) -> OfferReceipt:
        """Aggregator: submit an offer before gate closure; needs a baseline nominated for its bus."""
        return await self._post(f"/v1/auctions/{auction}/offers", offer, OfferReceipt, key=key)

    async def offers(self, auction: AuctionId) -> tuple[OfferReceipt, ...]:
        """Aggregator: its own offers."""
        return tuple([each async for each in self._pages(f"/v1/auctions/{auction}/offers", OfferReceipt)])

    async def offer(self, auction: AuctionId, offer: OfferId) -> OfferReceipt:
        """Aggregator: one of its own offers."""
        return await self._get(f"/v1/auctions/{auction}/offers/{offer}", OfferReceipt)

    async def replace_offer(self, receipt: OfferReceipt, offer: AnyOfferTerms) -> OfferReceipt:
        """Aggregator: replace the version of an offer that `receipt` stands for; refused where it has changed since."""
        path = f"/v1/auctions/{receipt.auction}/offers/{receipt.offer.id}"
        return await self._put(path, offer, OfferReceipt, {"If-Match": f'"{receipt.version}"'})

    async def withdraw_offer(self, receipt: OfferReceipt) -> None:
        """Aggregator: withdraw an offer, until gate closure."""
        path = f"/v1/auctions/{receipt.auction}/offers/{receipt.offer.id}"
        await self._send("DELETE", path, headers={"If-Match": f'"{receipt.version}"'})

    # outcome

    async def clear(self, auction: AuctionId) -> Auction:
        """Operator: close the gate now if its time has come, clear and publish; harmless to repeat."""
        return await self._post(f"/v1/auctions/{auction}/clear", None, Auction)

    async def result(self, auction: AuctionId) -> PublishedResult:
        """The published result: prices and limits for all, the caller's own offers."""
        return await self._get(f"/v1/auctions/{auction}/result", PublishedResult)

    async def awards(self, auction: AuctionId) -> tuple[Award, ...]:
        """Aggregator: its own awards."""
        return tuple([each async for each in self._pages(f"/v1/auctions/{auction}/awards", Award)])

    async def book(self, auction: AuctionId) -> tuple[BookEntry, ...]:
        """The order book, without owners, after publication."""
        return tuple([each async for each in self._pages(f"/v1/auctions/{auction}/book", BookEntry)])

    # metering and settlement

    async def submit_reading(self, auction: AuctionId, reading: ReadingTerms, *, key: str | None = None) -> Reading:
        """Aggregator: report what its resources drew."""
        return await self._post(f"/v1/auctions/{auction}/readings", reading, Reading, key=key)

    async def readings(self, auction: AuctionId) -> tuple[Reading, ...]:
        """Aggregator: its own readings; all versions."""
        return tuple([each async for each in self._pages(f"/v1/auctions/{auction}/readings", Reading)])

    async def settle(self, auction: AuctionId) -> Auction:
        """Operator: settle a published auction whose delivery is over."""
        return await self._post(f"/v1/auctions/{auction}/settle", None, Auction)

    async def statement(self, auction: AuctionId) -> Statement:
        """Aggregator: its settled statement."""
        return await self._get(f"/v1/auctions/{auction}/statement", Statement)

    async def transfers(self, auction: AuctionId) -> tuple[Transfer, ...]:
        """Ledger entries of an auction: the caller's own; all for an operator."""
        return tuple([each async for each in self._pages(f"/v1/auctions/{auction}/transfers", Transfer)])

    # audit

    async def audit_head(self) -> TreeHead:
        """The newest signed head of the audit log that one may see; keep it, and the market is held to it."""
        return await self._get("/v1/audit/head", TreeHead)

    async def audit_heads(self) -> tuple[TreeHead, ...]:
        """All signed heads that one may see, the oldest first."""
        return tuple([each async for each in self._pages("/v1/audit/heads", TreeHead)])

    async def audit_inclusion(
        self, kind: Literal["offer", "award", "statement"], auction: AuctionId, offer: OfferId | None = None
    ) -> InclusionProof:
        """That one's own offer, award or statement is in the log as it stands; of a statement, no offer is named."""
        query = {"kind": kind, "auction": auction, **({} if offer is None else {"offer": offer})}
        return await self._get("/v1/audit/inclusion", InclusionProof, query)

    async def audit_consistency(self, older: TreeHead, newer: TreeHead) -> ConsistencyProof:
        """That the log only grew from one head to another."""
        query = {"first": str(older.size), "second": str(newer.size)}
        return await self._get("/v1/audit/consistency", ConsistencyProof, query)

    # transport

    async def _get(self, path: str, answer: type[M], query: Mapping[str, str] | None = None) -> M:
        return _read(await self._send("GET", str(httpx.URL(path, params=dict(query or {})))), answer)

    async def _put(self, path: str, body: BaseModel, answer: type[M], headers: Mapping[str, str] | None = None) -> M:
        return _read(await self._send("PUT", path, body=body, headers=headers), answer)

    async def _post(self, path: str, body: BaseModel | None, answer: type[M], *, key: str | None = None) -> M:
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return _read(await self._send("POST", path, body=body, headers=headers), answer)

    async def _pages(self, path: str, item: type[M], query: Mapping[str, str] | None = None) -> AsyncIterator[M]:
        adapter = TypeAdapter(tuple[item, ...])  # type: ignore[valid-type]
        url: str | None = str(httpx.URL(path, params=dict(query or {})))
        while url is not None:
            answer = await self._send("GET", url)
            for each in adapter.validate_json(answer.content):
                yield each
            url = answer.links.get("next", {}).get("url")

    async def _send(
        self, method: str, path: str, *, body: BaseModel | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        content = None if body is None else body.model_dump_json(exclude_unset=True)
        sent = {**(headers or {}), **({} if content is None else {"Content-Type": "application/json"})}
        answer = await self._attempt(method, path, content=content, headers={**sent, **await self._bearer()})
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._credentials is not None:
            self._token = None
            answer = await self._attempt(method, path, content=content, headers={**sent, **await self._bearer()})
        if answer.is_error:
            raise MarketRefused(_problem(answer))
        return answer

    async def _bearer(self) -> dict[str, str]:
        if self._credentials is None:
            return {}
        if self._token is None:
            form = {
                "grant_type": "client_credentials",
                "client_id": self._credentials.client_id,
                "client_secret": self._credentials.client_secret,
            }
            answer = await self._attempt("POST", "/auth/token", data=form)
            if answer.is_error:
                raise MarketRefused(_problem(answer))
            self._token = _read(answer, Token).access_token
        return {"Authorization": f"Bearer {self._token}"}

    async def _attempt(self, method: str, path: str, **request: Any) -> httpx.Response:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = await self._http.request(method, path, **request)
            except httpx.TransportError as failure:
                if attempt == ATTEMPTS:
                    raise MarketUnreachable(f"{method} {path}: no answer ({type(failure).__name__})") from failure
            else:
                if answer.status_code not in _TRY_AGAIN or attempt == ATTEMPTS:
                    return answer
            await asyncio.sleep(FIRST_WAIT_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
        raise AssertionError("the last attempt returns or raises")


async def or_none(answer: Awaitable[T]) -> T | None:
    """What a call answers, or None where the market says that there is no such thing."""
    try:
        return await answer
    except MarketRefused as refusal:
        if refusal.problem.kind is not ProblemType.NOT_FOUND:
            raise
        return None


def _read(answer: httpx.Response, kind: type[M]) -> M:
    return kind.model_validate_json(answer.content)


def _problem(answer: httpx.Response) -> Problem:
    try:
        return Problem.model_validate_json(answer.content)
    except ValidationError:
        return Problem(
            type="about:blank",
            title=answer.reason_phrase or "Error",
            status=answer.status_code,
            detail=answer.text[:200],
        )
