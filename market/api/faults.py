"""The last resort: an error that nobody expected is logged without values, and answered with a problem."""

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_spec.problem import Problem, ProblemType
from market.errors import told

log = structlog.get_logger()


class Interrupted(Exception):
    """An answer that was broken off; what happened has been logged."""


class LastResort:
    """ASGI middleware: an error that nobody expected is logged without values and answered with a problem.

    It goes no further: the server would log its message.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:
            log.error("unexpected", path=scope.get("path"), **told(error))
            if begun or scope["type"] != "http":
                # The connection has to break: a part of an answer must not look like the whole.
                raise Interrupted from None
            await _answer(send)


async def _answer(send: Send) -> None:
    problem = Problem.of(ProblemType.INTERNAL, 500, "something went wrong here; it has been logged")
    content = problem.model_dump_json(exclude_none=True).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": content})
