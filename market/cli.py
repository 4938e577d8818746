"""The command line `flexmarket`: each command a thin function over the package that does the work."""

from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console

from market.case_file import read_case, write_result
from market.clearing import clear as clear_case
from market.clearing.summary import summary_table
from market.errors import BadCaseFile, ClearingError, NotSupported

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


def _complain(path: Path, failure: Exception, *, status: int) -> NoReturn:
    for sentence in str(failure).splitlines():
        stderr.print(f"{path}: {sentence}")
    raise typer.Exit(status)


def main() -> None:
    """Entry point of the console script."""
    app()
