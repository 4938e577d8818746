"""Problems (RFC 9457): the one shape of every error answer, and the catalogue of their stable types."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from api_spec.units import Message

BASE = "urn:flexmarket:problem:"


class ProblemType(StrEnum):
    """Catalogue. The value is the last part of `type`; clients may rely on it."""

    INVALID_INPUT = "invalid-input"
    MALFORMED_JSON = "malformed-json"
    BODY_TOO_LARGE = "body-too-large"
    BODY_TOO_SLOW = "body-too-slow"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    UNAUTHENTICATED = "unauthenticated"
    TOKEN_REFUSED = "token-refused"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    GATE_CLOSED = "gate-closed"
    GATE_OPEN = "gate-open"
    NOT_PUBLISHED = "not-published"
    WRONG_STATE = "wrong-state"
    ALREADY_EXISTS = "already-exists"
    NOT_ADMITTED = "not-admitted"
    BASELINE_MISSING = "baseline-missing"
    READINGS_MISSING = "readings-missing"
    HISTORY_TOO_SHORT = "history-too-short"
    CORRECTIONS_CLOSED = "corrections-closed"
    NOT_SETTLED = "not-settled"
    STATEMENT_ACCEPTED = "statement-accepted"
    STATEMENT_DISPUTED = "statement-disputed"
    DISPUTE_DECIDED = "dispute-decided"
    NOT_ACCEPTABLE = "not-acceptable"
    CLEARING_FAILED = "clearing-failed"
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused"
    PRECONDITION_FAILED = "precondition-failed"
    PRECONDITION_REQUIRED = "precondition-required"
    TOO_MANY = "too-many"
    UNAVAILABLE = "unavailable"
    OUT_OF_SPACE = "out-of-space"
    INTERNAL = "internal"


class ProblemDetail(Message):
    """One defect of the request's body: a JSON pointer into it, and why."""

    pointer: str
    detail: str


class Problem(Message):
    """An error answer. `errors` names the defects of an invalid body, at most twenty, without its values.

    error : where a token is refused, the reason in the words of RFC 6749 section 5.2.
    """

    type: Annotated[str, Field(pattern=f"^({BASE}[a-z-]+|about:blank)$")]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    instance: str | None = None
    errors: tuple[ProblemDetail, ...] = ()
    error: str | None = None

    @classmethod
    def of(cls, kind: ProblemType, status: int, detail: str, **more: Any) -> "Problem":
        """A problem of the catalogue."""
        return cls(type=BASE + kind, title=kind.replace("-", " ").capitalize(), status=status, detail=detail, **more)

    @property
    def kind(self) -> ProblemType | None:
        """Its place in the catalogue; None where it comes from something between us and the market."""
        name = self.type.removeprefix(BASE)
        return next((kind for kind in ProblemType if kind == name), None)
