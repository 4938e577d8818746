"""How far a run is, for a person at a terminal."""

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from market.simulation import run


@contextlib.contextmanager
def progress_bar(console: Console) -> Iterator[run.Progress]:
    """A bar that disappears at the end; gives the function that moves it."""
    columns = TextColumn("{task.description:<50}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda what, done: bar.update(task, description=what, completed=done)
