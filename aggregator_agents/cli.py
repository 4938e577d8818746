"""The command line `flex-aggregator`."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from aggregator_agents.agent import AggregatorConfig, EvAggregator
from aggregator_agents.charging.chargepoint.command import chargers
from aggregator_agents.charging.serving.command import serve, station_password
from aggregator_agents.drivers.command import driver_key, plug_codes
from aggregator_agents.preview import expected, tables
from api_spec.agent_file import AgentFile, BadAgentFile, read_agent_file
from api_spec.client import MarketClient, MarketError
from api_spec.organisation import Credentials
from api_spec.period import MarketPeriod

app = typer.Typer(no_args_is_help=True, add_completion=False, help="An aggregator's agent on a flexibility market.")
console = Console()
stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
_PLANS_WITHIN_S: Final = 10.0
ConfigFile = Annotated[Path, typer.Option("--config", help="The agent's TOML file.")]

app.command()(chargers)
app.command()(serve)
app.command()(driver_key)
app.command()(plug_codes)
app.command()(station_password)


@app.command()
def run(
    config: ConfigFile,
    every: Annotated[float, typer.Option(help="Seconds between two cycles.", min=1.0)] = 60.0,
    cycles: Annotated[int | None, typer.Option(help="Stop after so many; without it, go on.", min=1)] = None,
) -> None:
    """Take part in a market with emulated chargers."""
    file = _read(config)
    if file.market is None:
        raise _stop(f"{config}: market: is needed to run")
    try:
        credentials = file.market.read_credentials()
    except BadAgentFile as failure:
        raise _stop(str(failure)) from failure
    asyncio.run(_run(file.market.url, credentials, file.agent, every_s=every, cycles=cycles))


@app.command()
def check(config: ConfigFile, day: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Date, UTC.")]) -> None:
    """Print every site with its wiring, who is expected on a day, and what all of it draws without a market."""
    agent = _read(config).agent
    period = MarketPeriod(start=day.replace(tzinfo=UTC), resolution=timedelta(minutes=15), count=96)
    for table in tables(tuple(expected(agent, period)), day.date()):
        console.print(table)


async def _run(
    url: str, credentials: Credentials, config: AggregatorConfig, *, every_s: float, cycles: int | None
) -> None:
    async with MarketClient(url, credentials) as client:
        agent = EvAggregator(client, config, plans_within_s=_PLANS_WITHIN_S)
        done = 0
        while True:
            try:
                await agent.cycle(datetime.now(UTC))
            except MarketError as failure:
                # The next cycle reads everything again; vehicles charge on while the market is away.
                stderr.print(f"{datetime.now(UTC):%H:%M:%S} {failure}")
            await agent.control(datetime.now(UTC))
            done += 1
            if done == cycles:
                return
            await asyncio.sleep(every_s)


def _read(path: Path) -> AgentFile[AggregatorConfig]:
    try:
        return read_agent_file(path, AggregatorConfig)
    except BadAgentFile as failure:
        raise _stop(str(failure)) from failure


def _stop(sentence: str) -> typer.Exit:
    stderr.print(sentence)
    return typer.Exit(2)


def main() -> None:
    """Entry point of the console script."""
    app()
