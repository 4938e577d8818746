"""Pages of a list: an opaque cursor and a `Link` header to the next page (RFC 8288)."""

import base64
import binascii
from typing import Annotated, Final

from fastapi import Query, Request, Response

from api_spec.problem import ProblemType
from market.api.intake import BadBody

PAGE: Final = 100
Limit = Annotated[int, Query(ge=1, le=1000)]


def number_of(cursor: str | None) -> int:
    """The place that a cursor stands for; 0 for the first page."""
    if cursor is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor.encode()).decode())
    except (ValueError, binascii.Error) as failure:
        raise BadBody(ProblemType.INVALID_INPUT, 422, "cursor: not one that this market gave") from failure


def link_next(request: Request, response: Response, last: int) -> None:
    """Point to the page after the item at place `last`."""
    cursor = base64.urlsafe_b64encode(str(last).encode()).decode()
    url = request.url.include_query_params(cursor=cursor)
    response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
