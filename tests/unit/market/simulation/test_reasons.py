"""Why a DSO asked, as a table."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from market.simulation.reasons import requests_table

NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Record:
    auction: str
    asked_at: datetime = NOON
    kind: str = "congestion"
    about: str = "cable"
    because: str = "it is full"


class Grid:
    def request_log(self) -> tuple[Record, ...]:
        return (Record("yesterday"), Record("today"), Record("today", kind="voltage", about="a, b"))


def test_requests_of_one_auction_stand_with_their_reasons_and_who_is_silent_is_left_out() -> None:
    agents = cast(dict[str, Any], {"grid": Grid(), "homes": object()})

    assert requests_table(agents, auction="today").to_pylist() == [
        {"asked_at": NOON, "participant": "grid", "kind": kind, "about": about, "because": "it is full"}
        for kind, about in (("congestion", "cable"), ("voltage", "a, b"))
    ]
