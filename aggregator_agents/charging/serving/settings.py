"""What a file says of a service: its site, where its stations connect, and how each of them proves who it is.

    site = "risoe"                          # ships with flexmarket; a file of your own by its path, ending in .toml
    tokens = ["04A1B2C3"]                   # of drivers who may charge; absent = everybody
    [listen]
    host = "0.0.0.0"
    port = 9000
    profile = 2                             # security profile of OCPP: 1 password, 2 password under TLS, 3 certificate
    tls = { certificate = "server.pem", key = "server.key" }
    [stations.lot-1]
    password_hash = "$argon2id$v=19$..."    # printed by `flex-aggregator station-password`
    virtual_aggregator = "hosted"           # "own" for a charger that asks for leases by itself
    [planning]                              # without it plugs share what there is
    usual = { stay = "PT8H", energy_kwh = 20 }
    [drivers]                               # the page at the plugs, see docs/drivers.md; plans, too
    public_url = "https://plugs.example.org"
    key = "drivers.key"
    book = "wishes.db"
    [market]                                # take part in a flexibility market with this site; plans, too
    url = "https://market.example.org"
    credentials = "fleet.json"              # as the operator handed them out
    network = "risoe"
    meters = "meters.db"
    sessions = { arrives_h = 8, departs_h = 16.5, energy_kwh = 14 }     # who is expected

A station's identity, in its credential and in the path of its connection, is the id of its charger.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from aggregator_agents.charging.ocpp.credentials import SecurityProfile, TlsFiles
from aggregator_agents.charging.serving.market_table import MarketTable
from aggregator_agents.charging.serving.other_load_table import OtherLoadTable
from aggregator_agents.charging.serving.planned import PlanningTable
from aggregator_agents.dispatch.lease import ASK_EVERY_S, MOST_ASK_EVERY_S, MOST_TTL_S, TTL_S, Timing
from aggregator_agents.drivers.settings import DriversTable
from aggregator_agents.site_file import NamedSite
from api_spec.defects import Place, refuse, unknown
from api_spec.toml_file import read_toml
from api_spec.units import Message, Positive

_HASH: Final = r"^\$argon2id\$.+$"
_MOST_BYTES: Final = 65_536


class BadServiceFile(Exception):
    """A file that no service can be started with; one line for each defect: file, key and reason."""


class ListenTable(Message):
    """Where stations connect; see aggregator_agents.charging.ocpp.central.Listening."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(strict=True, ge=0, le=65_535)] = 9000
    profile: SecurityProfile = 2
    tls: TlsFiles | None = None
    most_bytes: Annotated[int, Field(strict=True, ge=4096, le=2**24)] = _MOST_BYTES
    ping_s: Positive = 20.0
    pong_within_s: Positive = 10.0

    @model_validator(mode="after")
    def _secured(self) -> Self:
        defects: list[tuple[Place, str]] = []
        if self.profile > 1 and self.tls is None:
            defects.append((("tls",), f"is needed for security profile {self.profile}"))
        if self.profile == 3 and self.tls is not None and self.tls.authority is None:
            defects.append((("tls", "authority"), "is needed for security profile 3: who signs the stations"))
        if self.profile == 1 and self.tls is not None:
            defects.append((("profile",), "is 1, without TLS; with TLS it is 2 or 3"))
        refuse("ListenTable", defects)
        return self

    @property
    def exposed(self) -> bool:
        """Whether passwords may cross a network unencrypted."""
        try:
            local = ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            local = self.host == "localhost"
        return self.profile == 1 and not local


class StationTable(Message):
    """One station. virtual_aggregator : hosted by this service, or the charger's own."""

    password_hash: Annotated[str, Field(pattern=_HASH)] | None = None
    virtual_aggregator: Literal["hosted", "own"] = "hosted"


class TimingTable(Message):
    """Of leases and answers. sample_s : between two meter samples. silent_after_s : of none in a transaction.

    ttl_s, ask_every_s, lag_s, guard_s : see Timing; chargers with an aggregator of their own have to count with the
    same. A lag below 5 s is for vehicles that are known to follow sooner than IEC 61851-1 demands.
    """

    ttl_s: Annotated[Positive, Field(ge=2, le=MOST_TTL_S)] = TTL_S
    ask_every_s: Annotated[Positive, Field(le=MOST_ASK_EVERY_S)] = ASK_EVERY_S
    act_every_s: Annotated[Positive, Field(le=5)] = 1.0
    lag_s: Annotated[Positive, Field(ge=0.5, le=60)] = Timing.lag_s
    guard_s: Annotated[Positive, Field(ge=1, le=60)] = Timing.guard_s
    call_timeout_s: Annotated[Positive, Field(le=60)] = 10.0
    sample_s: Annotated[int, Field(strict=True, ge=1, le=60)] = 5
    silent_after_s: Annotated[Positive, Field(le=300)] = 20.0

    @property
    def leases(self) -> Timing:
        """The same for the aggregators."""
        return Timing(
            act_every_s=self.act_every_s,
            ask_every_s=self.ask_every_s,
            ttl_s=self.ttl_s,
            lag_s=self.lag_s,
            guard_s=self.guard_s,
        )


class ServiceFile(Message):
    """A service for one site; see the module."""

    site: NamedSite
    listen: ListenTable
    stations: Annotated[dict[str, StationTable], Field(min_length=1)]
    tokens: frozenset[str] | None = None
    timing: TimingTable = TimingTable()
    planning: PlanningTable | None = None
    drivers: DriversTable | None = None
    market: MarketTable | None = None
    other_load: OtherLoadTable | None = None

    @model_validator(mode="after")
    def _of_the_site(self) -> Self:
        chargers = [each.id for each in self.site.chargers]
        defects: list[tuple[Place, str]] = [
            (("stations", id), unknown("charger", id, chargers, "at the site"))
            for id in self.stations
            if id not in chargers
        ]
        if self.listen.profile < 3:
            defects += [
                (("stations", id, "password_hash"), f"is needed for security profile {self.listen.profile}")
                for id, each in self.stations.items()
                if each.password_hash is None
            ]
        if self.site.yields_floors:
            defects += [
                (("stations", id, "virtual_aggregator"), 'is not "own", and the site says that chargers yield floors')
                for id, each in self.stations.items()
                if each.virtual_aggregator != "own"
            ]
        refuse("ServiceFile", defects)
        return self

    def accepts(self, token: str) -> bool:
        """Whether a driver's token may charge; tokens have no case (OCPP: identifierString, CiString)."""
        return self.tokens is None or token.casefold() in {each.casefold() for each in self.tokens}


def read_service(path: Path) -> ServiceFile:
    """The file at `path`; BadServiceFile says what is wrong at which key."""
    try:
        return read_toml(path, ServiceFile)
    except ValueError as failure:
        raise BadServiceFile(str(failure)) from failure
