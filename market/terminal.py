"""What the commands print, and how they end."""

from pathlib import Path
from typing import Final, NoReturn

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

BAD_INPUT: Final = 2
NOT_CLEARED: Final = 3
STOPPED: Final = 130
"""By Ctrl-C, as shells have it."""

console = Console()
stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


def print_whole(table: Table) -> None:
    """Print a table with all of its columns; on a narrow terminal its lines go on below: cut numbers are of no use."""
    wide = Console(width=10_000)
    needed = Measurement.get(wide, wide.options, table).maximum
    Console(width=max(console.width, needed)).print(table, crop=False)


def complain(path: Path, failure: Exception, *, status: int) -> NoReturn:
    """End with every defect of a file, one on a line."""
    raise stop("\n".join(f"{path}: {sentence}" for sentence in str(failure).splitlines()), status=status)


def stop(text: str, *, status: int) -> typer.Exit:
    """What ends a command, after a sentence on stderr."""
    stderr.print(text)
    return typer.Exit(status)
