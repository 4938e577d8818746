"""Large bodies, read so that a bad one costs little: the first thing wrong in each list is named, not all of them.

Pydantic collects an error for every element of a list. A body of 4 MB may have two million of them, which takes many
seconds; who sends that many is not helped by a list either.
"""

from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator, core_schema
from starlette.exceptions import HTTPException

SMALL_BYTES: Final = 16_384
"""Up to here everything that is wrong is named."""
_MOST_MEMBERS: Final = 100
_LISTS: Final = frozenset({"list", "tuple", "set", "frozenset", "dict"})


class BadLargeBody(HTTPException):
    """A large body that is not what it is to be.

    An HTTPException, because FastAPI takes any other error while it reads a body for one of JSON.
    """

    def __init__(self, defects: RequestValidationError) -> None:
        """Keep what is wrong."""
        super().__init__(422)
        self.defects = defects


class BriefReader:
    """Reads one type of the contract, and stops at the first bad element of every list."""

    def __init__(self, kind: Any) -> None:
        """Derive it from what pydantic makes of a type."""
        # Prebuilt validators are those of the types themselves, which do not stop.
        self._validator = SchemaValidator(_stopping(TypeAdapter(kind).core_schema), _use_prebuilt=False)

    def read(self, value: Any) -> Any:
        """The value as its type, which FastAPI takes as it is; BadLargeBody where it is not."""
        try:
            return self._validator.validate_python(value)
        except ValidationError as failure:
            lines = failure.errors(include_url=False, include_input=False)
            placed = [{**each, "loc": ("body", *each["loc"])} for each in lines]
            raise BadLargeBody(RequestValidationError(placed, body=value)) from failure


def _few_members(value: Any) -> Any:
    """An object of the contract has a dozen members; each one that is not known would be an error of its own."""
    if isinstance(value, dict) and len(value) > _MOST_MEMBERS:
        raise ValueError(f"has {len(value)} members, of which most are not known")
    return value


def _stopping(schema: Any) -> Any:
    """The same schema with lists that stop at their first error, and objects of few members."""
    if isinstance(schema, list | tuple):
        return type(schema)(_stopping(each) for each in schema)
    if not isinstance(schema, dict):
        return schema
    walked: dict[str, Any] = {name: _stopping(each) for name, each in schema.items()}
    if schema.get("type") in _LISTS:
        walked["fail_fast"] = True
    if schema.get("type") == "model-fields":
        return core_schema.no_info_before_validator_function(_few_members, walked)
    return walked
