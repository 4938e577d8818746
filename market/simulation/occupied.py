"""One process writes into a folder at a time: of a run, a sweep or a study."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from market.errors import FlexmarketError

_LOCK: Final = ".under-way"


class FolderInUse(FlexmarketError):
    """Another process writes into the folder."""

    def __init__(self, folder: Path) -> None:
        """Say which."""
        super().__init__(f"{folder} is in use: another process writes there, and two would spoil each other's results")
        self.folder = folder


@contextlib.contextmanager
def occupied(folder: Path) -> Iterator[None]:
    """Be the only process that writes into a folder, which is made where it is not there.

    Raises FolderInUse, and OSError where nothing can be written. It ends with the process, however that ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / _LOCK
    with lock.open("w", encoding="ascii") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as failure:
            raise FolderInUse(folder) from failure
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
