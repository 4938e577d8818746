"""What a run was computed with."""

import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import requires, version


@cache
def versions() -> Mapping[str, str]:
    """Of Python, flexmarket and every package that flexmarket requires to run."""
    needed = [each for each in requires("flexmarket") or () if "extra ==" not in each]
    names = sorted(re.split(r"[^\w.-]", each, maxsplit=1)[0] for each in needed)
    return {"python": sys.version.split()[0]} | {name: version(name) for name in ("flexmarket", *names)}
