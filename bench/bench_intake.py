"""Intake: offers of 96 periods over HTTP, from 32 connections that never wait, each answered once it is durable.

The anchor is the same endpoint without a database: it parses, checks the token, admits the offer and answers. A commit
is one sync of the disk; the last column is what a sync alone takes here.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.intake_market import Intake, measured, postgres, sync_s
from bench.measuring import Options, Row, progress, ratio

LASTS_S: Final = 8.0


def run(options: Options) -> Iterator[Row]:
    if options.sizes is not None:
        return
    lasts_s = 3.0 if options.quick else LASTS_S
    with tempfile.TemporaryDirectory(prefix="flexmarket-bench-", dir=Path.cwd()) as folder:
        place = Path(folder)
        sync = sync_s(place)
        anchor = _run("no database", f"sqlite:///{place / 'none.db'}", lasts_s, stored=False)
        yield _row("no database", anchor, anchor, sync)
        yield _row("SQLite", _run("SQLite", f"sqlite:///{place / 'market.db'}", lasts_s), anchor, sync)
        with tempfile.TemporaryDirectory(prefix="flexmarket-pg-") as short, postgres(Path(short)) as url:
            yield _row("PostgreSQL", _run("PostgreSQL", url, lasts_s), anchor, sync)


def _run(name: str, url: str, lasts_s: float, *, stored: bool = True) -> Intake:
    progress(f"intake: {name}")
    return measured(url, lasts_s=lasts_s, stored=stored)


def _row(name: str, found: Intake, anchor: Intake, sync: float) -> Row:
    times = sorted(found.seconds)
    per_s, anchor_per_s = found.accepted / found.lasted_s, anchor.accepted / anchor.lasted_s
    return {
        "store": name,
        "offers/s": f"{per_s:.0f}",
        "of no database": ratio(per_s, anchor_per_s),
        "median ms": f"{1e3 * times[len(times) // 2]:.0f}",
        "p99 ms": f"{1e3 * times[int(0.99 * len(times))]:.0f}",
        "refused": str(found.refused),
        "commits/s": f"{found.commits / found.lasted_s:.0f}",
        "offers per commit": f"{found.accepted / found.commits:.1f}" if found.commits else "-",
        "one sync ms": f"{1e3 * sync:.2f}",
    }
