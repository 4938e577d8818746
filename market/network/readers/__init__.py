"""Networks from other programs' files, each with a report of what could not be kept.

`flexmarket-case/1` needs no reader: its network is the wire form itself.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from market.errors import BadNetworkFile
from market.network.readers.matpower import read_matpower
from market.network.readers.pandapower_json import read_pandapower
from market.network.readers.report import Dropped, ReadNetwork

__all__ = ["Dropped", "ReadNetwork", "read_matpower", "read_network", "read_pandapower"]

_READERS: Final[dict[str, Callable[[Path], ReadNetwork]]] = {".m": read_matpower, ".json": read_pandapower}


def read_network(path: Path) -> ReadNetwork:
    """The network in a MATPOWER (.m) or pandapower (.json) file.

    Raises BadNetworkFile, and ReaderUnavailable without the extra `grid`.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise BadNetworkFile(path, [f'"{path.suffix}" is no format that is read: {" or ".join(_READERS)}'])
    if not path.is_file():
        raise BadNetworkFile(path, ["there is no such file"])
    return reader(path)
