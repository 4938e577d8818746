"""What a run was computed with."""

import hashlib
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import requires, version
from pathlib import Path
from typing import Final

FLEXMARKET: Final = ("aggregator_agents", "api_spec", "dso_agents", "market")
"""Its packages."""
CODE: Final = "flexmarket's code"
_SHOWN: Final = frozenset({".css", ".html", ".js", ".md", ".pyc", ".typed"})
"""Of pages, and of Python itself."""


@cache
def versions() -> Mapping[str, str]:
    """Of Python, flexmarket and every package that flexmarket requires to run; of its own code, a digest."""
    needed = [each for each in requires("flexmarket") or () if "extra ==" not in each]
    names = sorted(re.split(r"[^\w.-]", each, maxsplit=1)[0] for each in needed)
    found = {"python": sys.version.split()[0]} | {name: version(name) for name in ("flexmarket", *names)}
    return found | {CODE: _digest()}


def _digest() -> str:
    """Of everything in its packages that computes: who changes a line computes with something else."""
    root, told = Path(__file__).parents[2], hashlib.sha256()
    files = (each for package in FLEXMARKET for each in (root / package).rglob("*"))
    for file in sorted(each for each in files if each.is_file() and each.suffix not in _SHOWN):
        told.update(f"{file.relative_to(root).as_posix()}\n".encode() + file.read_bytes())
    return told.hexdigest()[:16]
