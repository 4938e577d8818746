"""One HTTP call to an address that somebody else has chosen, so that it cannot be turned against this network.

The host is resolved once, every address that it has must be public, and the connection goes to an address that was
checked: a second resolution could give another one (DNS rebinding). TLS still verifies the name. Redirects are not
followed, proxies of the environment are not used, and of the answer no more is read than tells that it arrived.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, Self

import httpx

from market.errors import FlexmarketError
from market.notices.addresses import is_public

CALL_LIMIT_S: Final = 15.0
_RESOLVERS: Final = 16


class NotDelivered(FlexmarketError):
    """A call that brought no answer; the reason, in words that its receiver may read."""


class Resolver(Protocol):
    """Finds the addresses of a host; raises OSError where it has none."""

    async def __call__(self, host: str, port: int) -> list[str]:
        """Addresses to connect to, the preferred one first."""
        ...


class Caller:
    """Makes calls; an async context manager. allow_private : also to addresses of this network and without TLS."""

    def __init__(
        self,
        *,
        allow_private: bool,
        limit_s: float = CALL_LIMIT_S,
        resolve: Resolver | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        """Nothing is connected yet. limit_s : of a whole call. verify : which certificates are believed."""
        self._allow_private, self._limit_s = allow_private, limit_s
        # Threads of its own: names that do not resolve must not hold up what else waits for a thread.
        self._threads = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolver")
        self._resolve = resolve or self._system_addresses
        self._http = httpx.AsyncClient(
            verify=verify,
            trust_env=False,
            follow_redirects=False,
            timeout=limit_s,
            # No connection outlives its call: each is made to an address that was checked for this call.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def __aenter__(self) -> Self:
        """Enter."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close what is open."""
        await self._http.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> int:
        """Post a body and return the status of the answer; NotDelivered where none comes in time."""
        try:
            async with asyncio.timeout(self._limit_s):
                return await self._post(httpx.URL(url), body, headers)
        except TimeoutError as failure:
            raise NotDelivered(f"no answer within {self._limit_s:g} s") from failure
        except httpx.HTTPError as failure:
            raise NotDelivered(f"the call failed ({type(failure).__name__})") from failure

    async def _post(self, url: httpx.URL, body: bytes, headers: Mapping[str, str]) -> int:
        address = await self._checked_address(url)
        sent = {
            **headers,
            "Host": url.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": "flexmarket-webhooks",
        }
        extensions = {"sni_hostname": url.raw_host.decode("ascii")}
        there = url.copy_with(host=address)
        async with self._http.stream("POST", there, content=body, headers=sent, extensions=extensions) as answer:
            return answer.status_code

    async def _checked_address(self, url: httpx.URL) -> str:
        if url.scheme != "https" and not self._allow_private:
            raise NotDelivered("only https is called")
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            addresses = await self._resolve(url.raw_host.decode("ascii"), port)
        except OSError as failure:
            raise NotDelivered("the host has no address") from failure
        if not addresses:
            raise NotDelivered("the host has no address")
        if not self._allow_private and not all(is_public(each) for each in addresses):
            raise NotDelivered("the host has an address that is not public")
        return addresses[0]

    async def _system_addresses(self, host: str, port: int) -> list[str]:
        def look_up() -> list[str]:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
            return list(dict.fromkeys(str(each[4][0]) for each in found))

        return await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
