"""The [drivers] table of a service: where its page is, its key and its book.

[drivers]
public_url = "https://plugs.example.org"    # as drivers reach it; https, but for tests
key = "drivers.key"                         # made by `flex-aggregator driver-key`
book = "wishes.db"
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from aggregator_agents.dispatch.lease import Id
from aggregator_agents.drivers.book import PriorityRule
from api_spec.period import Duration
from api_spec.units import Message


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as failure:
        raise ValueError("must be a time zone, such as Europe/Copenhagen") from failure
    return name


def _web(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be an address such as https://plugs.example.org")
    return url.rstrip("/")


class DriversTable(Message):
    """See the module.

    host, port : where the page listens, behind a proxy that speaks TLS. public_url : as it is printed at the plugs; a
    path in it is cut off by the proxy. names : of plugs, for people. timezone : of the clock that drivers read.
    seat_within : of plugging in, a driver has to open the page. priorities : that everybody has.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(strict=True, ge=0, le=65_535)] = 8090
    public_url: Annotated[str, AfterValidator(_web)]
    key: Path
    book: Path
    names: dict[Id, Annotated[str, Field(min_length=1, max_length=80)]] = Field(default_factory=dict)
    timezone: Annotated[str, AfterValidator(_zone)] = "Europe/Copenhagen"
    seat_within: Duration = timedelta(minutes=30)
    priorities: PriorityRule = PriorityRule()

    @property
    def zone(self) -> ZoneInfo:
        """As an object."""
        return ZoneInfo(self.timezone)

    @property
    def secure(self) -> bool:
        """Whether browsers reach it by https only."""
        return self.public_url.startswith("https:")

    @property
    def path(self) -> str:
        """Of the public address; empty at the root of a host."""
        return urlsplit(self.public_url).path

    def address(self, code: str) -> str:
        """What is printed at the plug of this code."""
        return f"{self.public_url}/p/{code}"
