"""The command line `flexmarket`: each command a thin function over the package that does the work."""

from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
import uvicorn
from rich.console import Console

from market.api.app import create_app
from market.api.serving import listen
from market.case_file import read_case, write_result
from market.clearing import clear as clear_case
from market.clearing.summary import summary_table
from market.clock import SystemClock
from market.errors import AlreadyExists, BadCaseFile, ClearingError, NotSupported
from market.settings import Settings
from market.store import migrate, open_engine
from market.workflow.identity import bootstrap_operator

BAD_CASE: Final = 2
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
) -> None:
    """Clear a case file and print what came of it.

    Exit status: 0 cleared (also partly), 2 a bad case, 3 clearing failed.
    """
    try:
        problem = read_case(case)
        result = clear_case(problem)
    except (BadCaseFile, NotSupported) as failure:
        _complain(case, failure, status=BAD_CASE)
    except ClearingError as failure:
        _complain(case, failure, status=NOT_CLEARED)
    if output is not None:
        try:
            write_result(result, output)
        except OSError as failure:
            _complain(output, failure, status=NOT_CLEARED)
    console.print(summary_table(problem, result))


@app.command()
def serve() -> None:
    """Serve the market over HTTP; settings come from FLEXMARKET_... variables."""
    settings = Settings()
    engine = open_engine(settings.database_url)
    migrate(engine)
    try:
        listening = listen(settings.host, settings.port)
    except OSError as failure:
        stderr.print(f"cannot listen on {settings.host}:{settings.port}: {failure.strerror}")
        raise typer.Exit(1) from failure
    console.print(f"flexmarket serves http://{settings.host}:{listening.getsockname()[1]} (Ctrl-C ends it)")
    api = create_app(settings, clock=SystemClock(), engine=engine)
    uvicorn.Server(uvicorn.Config(api, log_level="warning")).run(sockets=[listening])


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


def _complain(path: Path, failure: Exception, *, status: int) -> NoReturn:
    for sentence in str(failure).splitlines():
        stderr.print(f"{path}: {sentence}")
    raise typer.Exit(status)


def main() -> None:
    """Entry point of the console script."""
    app()
