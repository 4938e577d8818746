"""Structured logs: one event is one line, on stderr, with what it is about as fields; configured here and only here.

Whoever operates the market reads them, and they are sent elsewhere: so no line holds a body, a token, a query, or the
value of an offer. Messages of exceptions can quote what was being worked on; a traceback therefore shows where and of
what type every error is, and the words only of those whose words never quote.
"""

import logging
import re
import secrets
import sys
import traceback
from collections.abc import Iterator
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from market.settings import LogFormat, LogLevel

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SPEAKING: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    MemoryError,
    NameError,
    OSError,
    RecursionError,
    TypeError,
)
"""Errors whose words name code, files or addresses, never what was being worked on."""
_CHATTY: Final = ("alembic", "asyncio", "distributed", "httpcore", "httpx")
"""Libraries that say at `info` what is no event of the market, addresses of others included."""

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("flexmarket")


def configure(format_: LogFormat, level: LogLevel, *, stream: TextIO | None = None) -> None:
    """Send the market's events, and those of every library, to one stream in one form; replaces what was set before."""
    handler = _Stderr() if stream is None else logging.StreamHandler(stream)
    handler.set_name("flexmarket")
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_EVERY_LINE,
            processors=[
                _named_exception,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendered(format_, colours=handler.stream.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if each.get_name() != "flexmarket"]
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what is stderr by then: where a command runs inside of another program, that one's is gone later."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self._instead: TextIO | None = None

    @property
    def stream(self) -> TextIO:
        return self._instead or sys.stderr

    @stream.setter
    def stream(self, stream: TextIO) -> None:
        # Pyomo sets it while it solves, and sets it back.
        self._instead = None if stream is sys.stderr else stream


def accepted_request_id(given: str | None) -> str:
    """The caller's own id of its request where it has a usable one, else a new one."""
    return given if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def request_id() -> str | None:
    """Id of the request that is being answered here, if any."""
    found: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return found


def quiet_traceback(error: BaseException) -> str:
    """A traceback that quotes nothing: frames with their code, types, and words only where they cannot quote."""
    return "".join(_told(error)).rstrip()


def _told(error: BaseException) -> Iterator[str]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _told(cause)
        yield "which led to\n"
    yield from traceback.format_tb(error.__traceback__)
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    words = error if isinstance(error, _SPEAKING) else _database_code(error)
    yield f"{kind}: {words}\n" if words else f"{kind}\n"


def _database_code(error: BaseException) -> str | None:
    """What a database calls the error: SQLSTATE, or SQLite's name of it."""
    code: str | None = getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None)
    return code


def _named_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else sys.exc_info()[1] if given is True else given
    if isinstance(error, BaseException):
        event["traceback"] = quiet_traceback(error)
    return event


def _rendered(format_: LogFormat, *, colours: bool) -> list[structlog.typing.Processor]:
    if format_ == "json":
        return [structlog.processors.JSONRenderer(sort_keys=True)]
    return [_traceback_last, structlog.dev.ConsoleRenderer(colors=colours, pad_event_to=20, timestamp_key="at")]


def _traceback_last(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Under the line, as a person reads it."""
    if "traceback" in event:
        event["exception"] = event.pop("traceback")
    return event


_EVERY_LINE: Final[list[structlog.typing.Processor]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
]

# Unconfigured (a library, a test), events are ordinary records of `logging`: silent below warnings.
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_EVERY_LINE,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,  # whatever `configure` replaces is a matter of `logging`
)
