"""TOML files that are read into a type: what is wrong is said by file, key and reason.

Files that they name are relative to the folder that they stand in.
"""

import tomllib
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from api_spec.defects import defects_of
from api_spec.file_names import beside
from api_spec.known_keys import with_nearest
from api_spec.units import Message

M = TypeVar("M", bound=Message)


class BadFile(ValueError):
    """A file that cannot be used; one line for each defect: file, key and reason."""


def read_toml(file: Path | Traversable, table: type[M], *, name: str | None = None) -> M:
    """The file as a `table`; BadFile says what is wrong at which key. name : of the file, for people."""
    named, document = name or str(file), dict[str, Any]()
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        located = beside(table, document, file.parent) if isinstance(file, Path) else document
        return table.model_validate(located)
    except OSError as failure:
        raise BadFile(f"{named}: cannot be read ({failure.strerror})") from failure
    except UnicodeDecodeError as failure:
        raise BadFile(f"{named}: cannot be read ({failure})") from failure
    except tomllib.TOMLDecodeError as failure:
        raise BadFile(f"{named}: {failure}") from failure
    except ValidationError as failure:
        defects = with_nearest(defects_of(failure, document), table)
        found = ((toml_key(each.pointer), each.reason) for each in defects)
        raise BadFile("\n".join(f"{named}: {key}: {reason}" for key, reason in found)) from failure


def toml_key(pointer: str) -> str:
    """A JSON pointer as TOML writes a key: agents.lot.role."""
    return ".".join(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
