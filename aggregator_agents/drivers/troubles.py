"""Every error as a page for people, and as a problem (RFC 9457) for programs."""

from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from aggregator_agents.drivers.guard import HEADERS, problem
from aggregator_agents.drivers.reception import Declined, Trouble
from aggregator_agents.drivers.rendering import is_program, rendered, words_of
from aggregator_agents.drivers.wishes import WishRefused
from aggregator_agents.drivers.words import FIELD
from api_spec.defects import located, reason
from api_spec.problem import ProblemDetail, ProblemType

_POINTERS: Final = {"departs": "/departs", "energy": "/energy_wh", "priority": "/priority"}


def install(app: FastAPI) -> None:
    """Answer every error of the app."""
    app.add_exception_handler(Declined, _of_declined)
    app.add_exception_handler(WishRefused, _of_refused)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_fault)


async def _of_declined(request: Request, error: Exception) -> Response:
    assert isinstance(error, Declined)
    return _declined(request, error.trouble, error.code)


def _declined(request: Request, trouble: Trouble, code: str | None = None) -> Response:
    words = words_of(request)
    heading, how = words.say(f"problem_{trouble.key}"), words.say(f"problem_{trouble.key}_how")
    if is_program(request):
        return problem(trouble.kind, trouble.status, f"{heading}. {how}")
    return rendered("problem.html", request, status=trouble.status, heading=heading, how=how, code=code)


async def _of_refused(request: Request, error: Exception) -> Response:
    """A wish refused to a program; the page answers for itself."""
    assert isinstance(error, WishRefused)
    words = words_of(request)
    details = tuple(
        ProblemDetail(pointer=_POINTERS[FIELD[type(each)]], detail=words.sentence(each)) for each in error.objections
    )
    return problem(ProblemType.NOT_ADMITTED, 422, "the wish cannot be granted; nothing was changed", errors=details)


async def _of_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if not is_program(request):
        return _declined(request, Trouble.INPUT)
    lines = ((tuple(each["loc"][1:]), reason(each)) for each in error.errors())
    details = tuple(ProblemDetail(pointer=each.pointer, detail=each.reason) for each in located(lines, error.body))
    return problem(ProblemType.INVALID_INPUT, 422, "the body is not valid", errors=details)


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _declined(request, Trouble.NOT_FOUND)
    if is_program(request):
        kind = ProblemType.METHOD_NOT_ALLOWED if error.status_code == 405 else ProblemType.MALFORMED_JSON
        return problem(kind, error.status_code, str(error.detail))
    return _declined(request, Trouble.INPUT)


async def _of_fault(request: Request, error: Exception) -> Response:
    """A fault of ours, which the server logs; answered outside of the guard."""
    answer = _declined(request, Trouble.FAULT)
    answer.headers.update(HEADERS)
    return answer
