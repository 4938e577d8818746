"""Requests to an application within the process."""

import asyncio

import httpx
from fastapi import FastAPI, Request

from market.api.inside import BASE_URL, inside


def _answer(api: FastAPI, method: str, path: str, content: bytes = b"") -> httpx.Response:
    async def asked() -> httpx.Response:
        async with inside(api) as transport, httpx.AsyncClient(base_url=BASE_URL, transport=transport) as client:
            return await client.request(method, path, content=content, headers={"X-Name": "north"})

    return asyncio.run(asked())


def test_a_request_arrives_as_it_was_sent_and_its_answer_as_a_whole() -> None:
    api = FastAPI()

    @api.post("/a b")
    async def echo(request: Request, of: str) -> dict[str, str]:
        return {"body": (await request.body()).decode(), "of": of, "name": request.headers["x-name"]}

    answer = _answer(api, "POST", "/a b?of=1%262", b"whole")
    assert answer.status_code == 200
    assert answer.json() == {"body": "whole", "of": "1&2", "name": "north"}
    assert answer.headers["content-type"] == "application/json"


def test_what_the_application_raises_is_an_answer_of_500() -> None:
    api = FastAPI()

    @api.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError

    assert _answer(api, "GET", "/broken").status_code == 500


def test_an_application_that_reads_on_after_the_answer_hears_that_the_client_is_gone() -> None:
    heard = list[str]()

    async def api(scope: object, receive: object, send: object) -> None:
        heard.append((await receive())["type"])  # type: ignore[operator]
        await send({"type": "http.response.start", "status": 204, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body"})  # type: ignore[operator]
        heard.append((await receive())["type"])  # type: ignore[operator]

    whole = FastAPI()
    whole.mount("/", api)
    assert _answer(whole, "GET", "/").status_code == 204
    assert heard == ["http.request", "http.disconnect"]
