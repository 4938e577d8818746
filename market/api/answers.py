"""A problem as an HTTP answer, which the log and the caller can both find again."""

from typing import Final

import structlog
from fastapi.responses import JSONResponse

from api_spec.problem import BASE, Problem
from market.logs import request_id

INSTANCE: Final = "urn:flexmarket:request:"


def answer(problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem as a response; its `instance` names the request as the log does, and the request's line its type."""
    structlog.contextvars.bind_contextvars(problem=problem.type.removeprefix(BASE))
    here = request_id()
    if here is not None:
        problem = problem.model_copy(update={"instance": f"{INSTANCE}{here}"})
    content = problem.model_dump(mode="json", exclude_none=True)
    return JSONResponse(content, problem.status, headers, media_type="application/problem+json")
