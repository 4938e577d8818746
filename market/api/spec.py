"""The published contract: `openapi.json` and a JSON schema for each document, by `python -m market.api.spec`."""

import json
from pathlib import Path
from typing import Final

from pydantic import BaseModel
from sqlalchemy import create_engine

import api_spec
from api_spec.case import Case
from api_spec.problem import Problem
from api_spec.result import Result
from market.api.app import create_app
from market.clock import SystemClock
from market.settings import Settings

FOLDER: Final = Path(api_spec.__file__).parent
DOCUMENTS: Final[tuple[type[BaseModel], ...]] = (Case, Result, Problem)


def documents() -> dict[Path, str]:
    """Path and text of every generated file."""
    app = create_app(Settings(), clock=SystemClock(), engine=create_engine("sqlite://"), watch_gates=False)
    schemas = {FOLDER / "schemas" / f"{each.__name__.lower()}.json": each.model_json_schema() for each in DOCUMENTS}
    return {
        path: json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        for path, document in {FOLDER / "openapi.json": app.openapi(), **schemas}.items()
    }


def main() -> None:
    """Write all of them."""
    for path, text in documents().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
