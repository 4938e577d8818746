"""The command line `flex-dso`."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from api_spec.agent_file import AgentFile, BadAgentFile, read_agent_file
from api_spec.client import MarketClient, MarketError
from api_spec.organisation import Credentials
from api_spec.period import MarketPeriod
from dso_agents.agent import DsoAgent, DsoConfig
from dso_agents.congestion import Congestion, congestion
from dso_agents.forecast import ForecastUnusable, KnownLoad, ProfileSource
from market.errors import FlexmarketError, PowerFlowDiverged
from market.network import Grid

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A DSO's agent on a flexibility market.")
console = Console()
stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
ConfigFile = Annotated[Path, typer.Option("--config", help="The agent's TOML file.")]


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
        credentials = file.market.read_credentials()
    except BadAgentFile as failure:
        raise _stop(str(failure)) from failure
    asyncio.run(_run(file.market.url, credentials, file.agent, every_s=every, cycles=cycles))


@app.command()
def check(config: ConfigFile) -> None:
    """Print where the forecast alone, without any charger on the market, leaves the network's limits."""
    agent = _read(config).agent
    try:
        network, profiles = agent.expected()
        period = _period(agent, profiles)
        load = agent.forecast(profiles, period)
        found = congestion(Grid.of(network), period, load=load, margins=agent.margins)
    except (ForecastUnusable, FlexmarketError) as failure:
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
        network, profiles = config.expected()
    except (ForecastUnusable, FlexmarketError) as failure:
        raise _stop(str(failure)) from failure
    async with MarketClient(url, credentials) as client:
        agent = DsoAgent(client, config, network=network, profiles=profiles)
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


def _period(agent: DsoConfig, profiles: ProfileSource) -> MarketPeriod:
    if agent.opens is not None:
        return agent.opens.delivery
    if isinstance(profiles, KnownLoad):
        return profiles.period
    raise _stop("agent.opens: is needed to check a feeder: its delivery says which periods")


def _read(path: Path) -> AgentFile[DsoConfig]:
    try:
        return read_agent_file(path, DsoConfig)
    except BadAgentFile as failure:
        raise _stop(str(failure)) from failure


def _stop(sentence: str) -> typer.Exit:
    stderr.print(sentence)
    return typer.Exit(2)


def main() -> None:
    """Entry point of the console script."""
    app()
