"""One event is one line that a machine reads, and no line quotes what was being worked on."""

import io
import json
import logging
import sqlite3
from collections.abc import Iterator

import pytest

from market.logs import accepted_request_id, configure, log, quiet_traceback


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    configure("json", "info", stream=stream)
    yield stream
    root.handlers, level = before
    root.setLevel(level)


def test_our_events_and_those_of_libraries_are_lines_of_one_form(lines: io.StringIO) -> None:
    log.info("gate closed", auction="auc_1")
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
    log.debug("not told at this level")
    logging.getLogger("httpx").info("HTTP Request: POST https://somebody.example/hook")

    first, second = (json.loads(line) for line in lines.getvalue().splitlines())
    assert (first["event"], first["auction"], first["level"]) == ("gate closed", "auc_1", "info")
    assert (second["event"], second["level"]) == ("Started server process [7]", "info")
    assert first["at"].endswith("Z")


def test_configured_again_the_last_one_counts(lines: io.StringIO) -> None:
    other = io.StringIO()
    configure("console", "warning", stream=other)
    log.info("quiet")
    log.warning("stopped at once", signal="SIGTERM")

    assert lines.getvalue() == ""
    assert other.getvalue().count("\n") == 1
    assert "stopped at once" in other.getvalue()


def test_a_command_that_ran_inside_of_another_program_leaves_no_closed_stream(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a test's runner does, which gives a command a stderr of its own and closes it."""
    of_the_command, later = io.StringIO(), io.StringIO()
    with monkeypatch.context() as replaced:
        replaced.setattr("sys.stderr", of_the_command)
        configure("json", "info")
        log.info("inside")
    of_the_command_said = of_the_command.getvalue()
    of_the_command.close()
    monkeypatch.setattr("sys.stderr", later)
    log.info("outside")

    assert "inside" in of_the_command_said
    assert json.loads(later.getvalue())["event"] == "outside"


def _fails() -> None:
    try:
        int("120.55 EUR/MWh")
    except ValueError as failure:
        raise TypeError("'NoneType' object is not iterable") from failure


def test_a_traceback_says_where_and_what_but_quotes_no_value(lines: io.StringIO) -> None:
    try:
        _fails()
    except TypeError as failure:
        log.error("unexpected", exc_info=failure)
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")

    for line in lines.getvalue().splitlines():
        told = json.loads(line)["traceback"]
        assert told.index("\nValueError\n") < told.index("\nTypeError: 'NoneType' object is not iterable")
        assert "in _fails" in told
        assert "exc_info" not in line
    # The frames show our code, which has the number in it; the error's own words are gone.
    assert "invalid literal" not in lines.getvalue()


def test_an_error_without_a_traceback_is_told_too() -> None:
    assert quiet_traceback(OSError(28, "No space left on device")) == "OSError: [Errno 28] No space left on device"
    assert quiet_traceback(ValueError("9000 W")) == "ValueError"


def test_a_databases_error_is_told_by_its_code_alone() -> None:
    with sqlite3.connect(":memory:") as database, pytest.raises(sqlite3.IntegrityError) as raised:
        database.execute("CREATE TABLE offer (price INTEGER CHECK (price < 100))")
        database.execute("INSERT INTO offer VALUES (120)")
    database.close()

    assert quiet_traceback(raised.value).splitlines()[-1] == "sqlite3.IntegrityError: SQLITE_CONSTRAINT_CHECK"


@pytest.mark.parametrize("given", ["a", "7f3c-11.b_2", "X" * 64])
def test_a_callers_own_request_id_is_kept(given: str) -> None:
    assert accepted_request_id(given) == given


@pytest.mark.parametrize("given", [None, "", "X" * 65, "two words", "line\nbreak", "<script>", "-", "ä"])
def test_an_unusable_request_id_is_replaced(given: str | None) -> None:
    first, second = accepted_request_id(given), accepted_request_id(given)
    assert len(first) == 32
    assert first != second
