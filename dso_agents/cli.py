"""The command line `flex-dso`."""

import asyncio
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from api_spec.client import MarketClient, MarketError
from api_spec.defects import defects_of
from api_spec.organisation import Credentials
from api_spec.units import Message
from dso_agents.agent import DsoAgent, DsoConfig
from dso_agents.congestion import Congestion, congestion
from dso_agents.forecast import ForecastUnusable, forecast, read_known_load
from market.errors import PowerFlowDiverged
from market.network import Grid

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A DSO's agent on a flexibility market.")
console = Console()
stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
ConfigFile = Annotated[Path, typer.Option("--config", help="The agent's TOML file.")]


class Connection(Message):
    """Where the market is, and the JSON file with the DSO's credentials as the operator handed them out."""

    url: str
    credentials: Path


class AgentFile(Message):
    """The TOML file of a DSO's agent: [market] for `run`, [agent] for both commands."""

    market: Connection | None = None
    agent: DsoConfig


@app.command()
def run(
    config: ConfigFile,
    every: Annotated[float, typer.Option(help="Seconds between two cycles.", min=1.0)] = 60.0,
    cycles: Annotated[int | None, typer.Option(help="Stop after so many; without it, go on.", min=1)] = None,
) -> None:
    """Take part in a market."""
    file = _read(config)
    if file.market is None:
        raise _stop(f"{config}: market: is needed to run")
    try:
        credentials = Credentials.model_validate_json(file.market.credentials.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as failure:
        raise _stop(f"{file.market.credentials}: holds no credentials") from failure
    asyncio.run(_run(file.market.url, credentials, file.agent, every_s=every, cycles=cycles))


@app.command()
def check(config: ConfigFile) -> None:
    """Print where the forecast alone, without any charger on the market, leaves the network's limits."""
    agent = _read(config).agent
    try:
        known = read_known_load(agent.known_load)
        load = forecast(known.load, agent.uncertainty)
        found = congestion(Grid.of(known.network), known.period, load=load, margins=agent.margins)
    except (ForecastUnusable, PowerFlowDiverged) as failure:
        raise _stop(str(failure)) from failure
    console.print(congestion_table(found))


def congestion_table(found: Congestion) -> Table:
    """What leaves its limits: where, when it is worst, how far, and for how many periods."""
    table = Table("element or bus", "worst at", "value", "limit", "periods", title="Expected congestion")
    starts = found.period.starts()
    for overload in found.overloads:
        at = overload.worst
        value, limit = f"{overload.current_a[at]:.1f} A", f"{overload.limit_a:.1f} A"
        table.add_row(overload.element, f"{starts[at]:%Y-%m-%d %H:%M} UTC", value, limit, str(sum(overload.affected)))
    for violation in found.violations:
        at = violation.worst
        value = f"{violation.voltage_pu[at]:.4f} pu"
        limit = f"{violation.min_pu:.4f} to {violation.max_pu:.4f} pu"
        table.add_row(violation.bus, f"{starts[at]:%Y-%m-%d %H:%M} UTC", value, limit, str(sum(violation.affected)))
    if not table.rows:
        table.caption = "none"
    return table


async def _run(url: str, credentials: Credentials, config: DsoConfig, *, every_s: float, cycles: int | None) -> None:
    try:
        known = read_known_load(config.known_load)
    except ForecastUnusable as failure:
        raise _stop(str(failure)) from failure
    async with MarketClient(url, credentials) as client:
        agent = DsoAgent(client, config, network=known.network, profiles=known)
        done = 0
        while True:
            try:
                await agent.cycle(datetime.now(UTC))
            except (MarketError, ForecastUnusable, PowerFlowDiverged) as failure:
                # The next cycle reads everything again, so a market that is away for a while costs nothing.
                stderr.print(f"{datetime.now(UTC):%H:%M:%S} {failure}")
            done += 1
            if done == cycles:
                return
            await asyncio.sleep(every_s)


def _read(path: Path) -> AgentFile:
    document: dict[str, Any] = {}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        return AgentFile.model_validate(document)
    except OSError as failure:
        raise _stop(f"{path}: {failure.strerror}") from failure
    except tomllib.TOMLDecodeError as failure:
        raise _stop(f"{path}: {failure}") from failure
    except ValidationError as failure:
        lines = [f"{path}: {each.pointer}: {each.reason}" for each in defects_of(failure, document)]
        raise _stop("\n".join(lines)) from failure


def _stop(sentence: str) -> typer.Exit:
    stderr.print(sentence)
    return typer.Exit(2)


def main() -> None:
    """Entry point of the console script."""
    app()
