"""OCPP-J frames: calls, results and errors as JSON arrays, checked against the schemas of their version.

Source: OCPP 1.6J, 4; OCPP 2.0.1 Part 4, 4; OCPP 2.1 Part 4, 4. The schemas are those of the PyPI package `ocpp`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal

from ocpp.messages import MessageType, get_validator

Version = Literal["1.6", "2.0.1", "2.1"]
Payload = dict[str, Any]
"""A JSON object with names and values as the standard has them."""

SUBPROTOCOLS: Final[Mapping[str, Version]] = {"ocpp2.1": "2.1", "ocpp2.0.1": "2.0.1", "ocpp1.6": "1.6"}
"""The dearest first."""
NO_ID: Final = "-1"
"""Stands for an id that could not be read (OCPP 2.0.1 Part 4, 4.2.3)."""

_LONGEST_ID: Final = 36
_NAME: Final = re.compile(r"[A-Za-z0-9]{1,50}")
_OLD_CODES: Final = {
    "FormatViolation": "FormationViolation",
    "OccurrenceConstraintViolation": "OccurenceConstraintViolation",
    "RpcFrameworkError": "FormationViolation",
    "MessageTypeNotSupported": "NotSupported",
}
_CODES: Final = {
    "type": "TypeConstraintViolation",
    "required": "OccurrenceConstraintViolation",
    "minItems": "OccurrenceConstraintViolation",
    "maxItems": "OccurrenceConstraintViolation",
    "additionalProperties": "FormatViolation",
}


@dataclass(frozen=True)
class Call:
    """A request, in either direction."""

    id: str
    action: str
    payload: Payload

    def text(self) -> str:
        """The frame."""
        return _text([2, self.id, self.action, self.payload])


@dataclass(frozen=True)
class Result:
    """The answer to a call."""

    id: str
    payload: Payload

    def text(self) -> str:
        """The frame."""
        return _text([3, self.id, self.payload])


@dataclass(frozen=True)
class Error:
    """The refusal of a call. code : as the version spells it."""

    id: str
    code: str
    description: str = ""

    def text(self) -> str:
        """The frame."""
        return _text([4, self.id, self.code, self.description[:255], {}])


class BadFrame(Exception):
    """What the peer sent cannot be answered but with an error.

    id : of the frame, NO_ID when unreadable. code : as OCPP 2 spells it. about_answer : the frame was no call, so that
    no error may be sent for it.
    """

    def __init__(self, code: str, description: str, id: str = NO_ID, *, about_answer: bool = False) -> None:
        """Say why."""
        super().__init__(f"{code}: {description}")
        self.id, self.code, self.description, self.about_answer = id, code, description, about_answer

    def error(self, version: Version) -> Error:
        """The frame that tells the peer."""
        code = _OLD_CODES.get(self.code, self.code) if version == "1.6" else self.code
        return Error(self.id, code, self.description)


def parse(text: str | bytes, version: Version) -> Call | Result | Error:
    """One frame; a call is of a known action and fits its schema. Raises BadFrame."""
    try:
        frame = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as failure:
        raise BadFrame("RpcFrameworkError", "not JSON") from failure
    if not isinstance(frame, list) or len(frame) < 3:
        raise BadFrame("RpcFrameworkError", "a frame is an array of a type, an id and what belongs to them")
    kind, id = frame[0], frame[1]
    if not isinstance(id, str) or not 0 < len(id) <= _LONGEST_ID:
        raise BadFrame("RpcFrameworkError", f"the id of a frame has 1 to {_LONGEST_ID} characters")
    if isinstance(kind, bool) or kind not in (2, 3, 4):
        raise BadFrame("MessageTypeNotSupported", "frames of this type are not understood", id)
    if kind == 2:
        return _call(frame, id, version)
    if kind == 3:
        if len(frame) != 3 or not isinstance(frame[2], dict):
            raise BadFrame("RpcFrameworkError", "a result has an id and an object", id, about_answer=True)
        return Result(id, frame[2])
    words = [each if isinstance(each, str) else "" for each in (*frame[2:4], "")]
    return Error(id, words[0], words[1])


def check(payload: Payload, action: str, version: Version, *, id: str = NO_ID, answer: bool = False) -> None:
    """BadFrame for a payload that does not fit the schema of its action."""
    kind = MessageType.CallResult if answer else MessageType.Call
    validator = get_validator(kind, action, version, parse_float=Decimal)
    if version == "1.6":
        # In decimals, since 2.3 is no multiple of 0.1 in floating point; later versions have no multiples.
        payload = json.loads(json.dumps(payload), parse_float=Decimal)
    defect = next(validator.iter_errors(payload), None)
    if defect is None:
        return
    code = _CODES.get(str(defect.validator), "PropertyConstraintViolation")
    place = "".join(f"/{part}" for part in defect.absolute_path)
    raise BadFrame(code, f"{place or '/'}: {defect.validator}", id, about_answer=answer)


def moment(text: str) -> datetime:
    """A date-time of a payload; without an offset it is UTC. BadFrame for none."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as failure:
        raise BadFrame("PropertyConstraintViolation", "not a date and time") from failure


def stamp(now: datetime) -> str:
    """A date-time for a payload: UTC, to the millisecond."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _call(frame: list[Any], id: str, version: Version) -> Call:
    if len(frame) != 4 or not isinstance(frame[2], str) or not isinstance(frame[3], dict):
        raise BadFrame("FormatViolation", "a call has an id, an action and an object", id)
    action, payload = frame[2], frame[3]
    try:
        # The name becomes a file name in the package of schemas.
        if _NAME.fullmatch(action) is None or action.endswith(("Request", "Response")):
            raise BadFrame("NotImplemented", "no such action", id)
        check(payload, action, version, id=id)
    except OSError as failure:
        raise BadFrame("NotImplemented", "no such action", id) from failure
    return Call(id, action, payload)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _text(frame: list[Any]) -> str:
    return json.dumps(frame, separators=(",", ":"), allow_nan=False)
