"""The sessions of `sessions.csv` as the aggregator sees them: as announced, and as they happened."""

import csv
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from aggregator_agents.fleet import Session, Site
from aggregator_agents.straying import Stay

ZONE: Final = "America/Los_Angeles"


def lot() -> Site:
    """Risø's car park: 8 chargers with 2 plugs each behind 63 A; plug n of the file is its n-th plug."""
    return Site.of("lot", chargers=8, plugs_per_charger=2, fuse_a=63, charger_a=16)


@cache
def stays() -> tuple[Stay, ...]:
    """All of them, by arrival, at the plugs of `lot`."""
    return tuple(_stays(lot()))


def _stays(site: Site) -> Iterator[Stay]:
    with Path(__file__).with_name("sessions.csv").open(encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file)):
            arrives = datetime.fromisoformat(row["arrives"]).replace(tzinfo=ZoneInfo(ZONE))
            plug = site.plugs[int(row["plug"]) - 1].id

            def session(
                minutes: str,
                energy_wh: str,
                *,
                id: str = f"acn {number}",
                plug: str = plug,
                arrives: datetime = arrives,
            ) -> Session:
                return Session(id, plug, arrives, arrives + timedelta(minutes=int(minutes)), float(energy_wh))

            yield Stay(session(row["said_min"], row["requested_wh"]), session(row["stayed_min"], row["delivered_wh"]))
