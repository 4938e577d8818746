"""Versions as entity tags: `ETag: "3"`, and changes only to the version that was read (If-Match)."""

import re
from typing import Final

from fastapi import Response

from market.errors import PreconditionRequired

_TAG: Final = re.compile(r'"(\d{1,9})"')


def tag(response: Response, version: int) -> None:
    """Say which version an answer is."""
    response.headers["ETag"] = f'"{version}"'


def if_match(header: str | None, kind: str) -> int:
    """Version that a change is meant for; PreconditionRequired where none is named. 0 matches nothing."""
    if header is None:
        raise PreconditionRequired(kind)
    found = _TAG.fullmatch(header.strip())
    return int(found[1]) if found else 0
