"""The command line `flexmarket`: each command a thin function over the package that does the work."""

import asyncio
import shutil
import socket
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console

from api_spec.client import MarketError
from api_spec.result import PricingRule
from market.api.app import create_app
from market.api.serving import LOOPBACK, listen, serve_until_stopped
from market.case_file import read_case, read_zones, write_result
from market.clearing import Options as ClearingOptions
from market.clearing import clear as clear_case
from market.clearing.options import Priority
from market.clearing.summary import summary_table
from market.clock import SimulatedClock, SystemClock
from market.errors import (
    AlreadyExists,
    BadCaseFile,
    BadNetworkFile,
    BadZonesFile,
    ClearingError,
    FlexmarketError,
    ReaderUnavailable,
)
from market.figures.run_folder import REPORT
from market.network.readers import read_network
from market.settings import Settings
from market.simulation import SCENARIOS
from market.simulation.archive import archive
from market.simulation.progress import progress_bar
from market.simulation.run import simulate as run_scenario
from market.simulation.scenario import BadScenario, read_scenario
from market.simulation.summary import short_table
from market.simulation.world import DATABASE
from market.store import migrate, open_engine
from market.workflow.identity import bootstrap_operator

BAD_INPUT: Final = 2
NOT_CLEARED: Final = 3

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A local flexibility market for distribution grids.")
console = Console()
stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


@app.callback()
def flexmarket() -> None:
    """A local flexibility market for distribution grids."""


@app.command()
def clear(
    case: Annotated[Path, typer.Argument(help="Case file (flexmarket-case/1).")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Result file to write.")] = None,
    pricing: Annotated[PricingRule, typer.Option(help="How sellers are paid.")] = "dlmp",
    zones: Annotated[
        Path | None, typer.Option(help="JSON file: bus to zone, for uniform prices. Absent: one zone.")
    ] = None,
    coordination: Annotated[
        Priority, typer.Option(help="Who comes first where a request at the source meets the DSO's limits.")
    ] = "joint",
    covered: Annotated[
        bool, typer.Option("--no-paradoxically-accepted", help="Accept no block that the price does not cover.")
    ] = False,
) -> None:
    """Clear a case file and print what came of it.

    Exit status: 0 cleared (also partly), 2 a bad case, 3 clearing failed.
    """
    try:
        problem = read_case(case)
        options = ClearingOptions(
            pricing=pricing,
            zones={} if zones is None else read_zones(zones, problem),
            coordination=coordination,
            no_paradoxically_accepted=covered,
        )
        result = clear_case(problem, options)
    except BadZonesFile as failure:
        _complain(zones or case, failure, status=BAD_INPUT)
    except BadCaseFile as failure:
        _complain(case, failure, status=BAD_INPUT)
    except ClearingError as failure:
        _complain(case, failure, status=NOT_CLEARED)
    if output is not None:
        try:
            write_result(result, output)
        except OSError as failure:
            _complain(output, failure, status=NOT_CLEARED)
    console.print(summary_table(problem, result))


@app.command("network")
def read_network_file(
    file: Annotated[Path, typer.Argument(help="MATPOWER (.m) or pandapower (.json) file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Network to write, in the market's own form.")],
) -> None:
    """Turn another program's network into the market's own form, and say what is not in it.

    Exit status: 0 written, 2 a file that cannot be read.
    """
    try:
        read = read_network(file)
        output.write_text(read.network.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except (BadNetworkFile, ReaderUnavailable) as failure:
        raise _stop(str(failure), status=BAD_INPUT) from failure
    except OSError as failure:
        raise _stop(f"{output}: cannot be written ({failure.strerror})", status=BAD_INPUT) from failure
    network = read.network
    console.print(
        f"{len(network.buses)} buses, {len(network.lines)} lines, {len(network.transformers)} transformers: {output}",
        highlight=False,
        soft_wrap=True,
    )
    for each in read.dropped:
        console.print(f"  {each.what}: {each.why}", highlight=False, soft_wrap=True, markup=False)


@app.command()
def serve() -> None:
    """Serve the market over HTTP; settings come from FLEXMARKET_... variables."""
    settings = Settings()
    engine = open_engine(settings.database_url)
    migrate(engine)
    listening = _listen(settings.host, settings.port, "FLEXMARKET_PORT chooses another")
    console.print(f"flexmarket serves {_address(listening)} (Ctrl-C ends it)")
    api = create_app(settings, clock=SystemClock(), engine=engine)
    serve_until_stopped(api, listening)


Out = Annotated[Path | None, typer.Option(help="Folder of the run; must not exist yet.", show_default="runs/...")]
Serve = Annotated[bool, typer.Option("--serve/--no-serve", help="Serve the market's pages afterwards, until stopped.")]
Port = Annotated[int, typer.Option(help="Of the pages, on 127.0.0.1.", min=0, max=65_535)]


@app.command()
def demo(out: Out = None, serve: Serve = True, port: Port = 8000) -> None:
    """Run the demonstration: a winter day on a campus feeder, from the DSO's requests to settled statements."""
    _simulate(SCENARIOS / "risoe-day.toml", out, port if serve else None)


@app.command()
def simulate(
    scenario: Annotated[Path, typer.Argument(help="Scenario file (TOML).")],
    out: Out = None,
    serve: Serve = False,
    port: Port = 8000,
) -> None:
    """Run a scenario on a real market in virtual time, and write a folder with everything about it.

    Exit status: 0 settled, 1 the run could not be finished, 2 a bad scenario.
    """
    _simulate(scenario, out, port if serve else None)


def _simulate(file: Path, out: Path | None, port: int | None) -> None:
    """Run, archive and print; then serve the pages on `port`, if there is one."""
    try:
        scenario = read_scenario(file)
    except BadScenario as failure:
        raise _stop(str(failure), status=BAD_INPUT) from failure
    # Before the day is run: a port that is taken should not cost a minute.
    listening = None if port is None else _listen(LOOPBACK, port, "--port chooses another, --no-serve does without")
    folder = out or Path("runs") / f"{scenario.name}-{datetime.now():%Y%m%d-%H%M%S}"
    try:
        folder.mkdir(parents=True)
    except OSError as failure:
        raise _stop(f"{folder}: cannot be made ({failure.strerror})", status=BAD_INPUT) from failure
    try:
        with progress_bar(console) as told:
            outcome = asyncio.run(run_scenario(scenario, folder=folder, progress=told))
            told("results and report", 0.98)
            rows = archive(outcome, scenario_text=file.read_text(encoding="utf-8"), folder=folder)
    except BadScenario as failure:
        shutil.rmtree(folder)  # nothing has happened yet
        raise _stop(f"{file}: {failure}", status=BAD_INPUT) from failure
    except (FlexmarketError, MarketError) as failure:
        raise _stop(str(failure), status=1) from failure
    console.print(short_table(scenario.title, rows))
    console.print(f"Run folder  {folder}\nReport      {folder / REPORT}", highlight=False, soft_wrap=True)
    if listening is not None:
        console.print(f"Pages       {_address(listening)} (Ctrl-C ends it)", highlight=False, soft_wrap=True)
        _serve_run(folder, outcome.auction.delivery.end, listening)


def _serve_run(folder: Path, ends: datetime, listening: socket.socket) -> None:
    """Serve the pages of a finished run's market, whose time stands still at `ends`, until stopped."""
    engine = open_engine(f"sqlite:///{folder / DATABASE}")
    try:
        settings = Settings(runs_dir=folder.parent)
        api = create_app(settings, clock=SimulatedClock(ends), engine=engine, watch_gates=False)
        serve_until_stopped(api, listening)
    finally:
        engine.dispose()


operator = typer.Typer(no_args_is_help=True, help="The market's operator.")
app.add_typer(operator, name="operator")


@operator.command("create")
def create_operator(name: Annotated[str, typer.Argument(help="Name of the organisation.")] = "operator") -> None:
    """Register the first operator and print its credentials; the secret is shown only now."""
    engine = open_engine(Settings().database_url)
    migrate(engine)
    try:
        credentials = bootstrap_operator(name, engine=engine, clock=SystemClock())
    except AlreadyExists as failure:
        stderr.print("this market has an operator already; its credentials were shown when it was created")
        raise typer.Exit(1) from failure
    console.print_json(credentials.model_dump_json())


def _listen(host: str, port: int, advice: str) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as failure:
        raise _stop(f"cannot listen on {host}:{port} ({failure.strerror}); {advice}", status=1) from failure


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{host}:{port}"


def _complain(path: Path, failure: Exception, *, status: int) -> NoReturn:
    raise _stop("\n".join(f"{path}: {sentence}" for sentence in str(failure).splitlines()), status=status)


def _stop(text: str, *, status: int) -> typer.Exit:
    stderr.print(text)
    return typer.Exit(status)


def main() -> None:
    """Entry point of the console script."""
    app()
