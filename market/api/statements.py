"""Statements and bills in the shape that a reader asks for (Accept): JSON, CSV for tables, a page for people."""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeAlias

from fastapi import Depends, Request, Response

from api_spec.problem import ProblemType
from api_spec.settlement import DsoStatement, Statement
from api_spec.tariffs import Bill
from market.api.intake import BadBody
from market.api.pages.rendering import document
from market.api.statement_tables import bill_table, dso_table, statement_table
from market.api.world import World

Shape: TypeAlias = Literal["application/json", "text/csv", "text/html"]
_SHAPES: Final[tuple[Shape, ...]] = ("application/json", "text/csv", "text/html")
shapes: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {shape: {"schema": {"type": "string"}} for shape in _SHAPES[1:]}}
}
"""How the contract says that an answer has other shapes than JSON."""


_NAMES: Final = {Statement: "statement", DsoStatement: "dso-statement", Bill: "bill"}
"""Of files and templates."""
_TABLES: Final[dict[type, Callable[[Any], str]]] = {
    Statement: statement_table,
    DsoStatement: dso_table,
    Bill: bill_table,
}


def shaped(statement: Statement | DsoStatement | Bill, shape: Shape, world: World, **about: Any) -> Response:
    """A statement or bill as an answer; `about` : what its page shows beside it. Each shape has a tag of its own."""
    answer = _answer(statement, shape, world, about)
    suffix = "" if shape == "application/json" else f"-{shape.removeprefix('text/')}"
    answer.headers["ETag"] = f'"{statement.version}{suffix}"'
    answer.headers["Vary"] = "Accept"
    return answer


def _answer(statement: Statement | DsoStatement | Bill, shape: Shape, world: World, about: dict[str, Any]) -> Response:
    name = _NAMES[type(statement)]
    if shape == "application/json":
        return Response(statement.model_dump_json(), media_type=shape)
    if shape == "text/html":
        return document(f"{name.replace('-', '_')}.html", world, statement=statement, **about)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "X-Content-Type-Options": "nosniff"}
    table = _TABLES[type(statement)](statement)
    return Response(table, media_type="text/csv; charset=utf-8; header=present", headers=headers)


def negotiated(accept: str) -> Shape | None:
    """The shape that an Accept header likes best, JSON before CSV before HTML; None where it takes none of them.

    The most specific range that matches a shape decides (RFC 9110 section 12.5.1).
    """
    ranges = [_range(each) for each in accept.split(",") if each.strip()]
    liked = [(_quality(shape, ranges), shape) for shape in _SHAPES]
    best = max(quality for quality, _ in liked)
    return next((shape for quality, shape in liked if quality == best), None) if best > 0 else None


def _range(text: str) -> tuple[str, float]:
    media, *parameters = (part.strip().lower() for part in text.split(";"))
    weights = [each.removeprefix("q=") for each in parameters if each.startswith("q=")]
    try:
        quality = float(weights[0]) if weights else 1.0
    except ValueError:
        quality = 0.0
    return media, quality if 0 <= quality <= 1 else 0.0


def _quality(shape: Shape, ranges: list[tuple[str, float]]) -> float:
    for wanted in (shape, f"{shape.split('/')[0]}/*", "*/*"):
        found = [quality for media, quality in ranges if media == wanted]
        if found:
            return max(found)
    return 0.0


def _shape(request: Request) -> Shape:
    found = negotiated(request.headers.get("accept") or "*/*")
    if found is None:
        raise BadBody(ProblemType.NOT_ACCEPTABLE, 406, f"a statement comes as {', '.join(_SHAPES)}")
    return found


ShapeOf = Annotated[Shape, Depends(_shape)]
