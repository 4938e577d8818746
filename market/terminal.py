"""What the commands print, and how they end."""

from pathlib import Path
from typing import Final, NoReturn

import typer
from rich.console import Console

BAD_INPUT: Final = 2
NOT_CLEARED: Final = 3

console = Console()
stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


def complain(path: Path, failure: Exception, *, status: int) -> NoReturn:
    """End with every defect of a file, one on a line."""
    raise stop("\n".join(f"{path}: {sentence}" for sentence in str(failure).splitlines()), status=status)


def stop(text: str, *, status: int) -> typer.Exit:
    """What ends a command, after a sentence on stderr."""
    stderr.print(text)
    return typer.Exit(status)
