"""Statements in the shape that a reader asks for (Accept): JSON for programs, CSV for tables, a page for people."""

from typing import Annotated, Any, Final, Literal, TypeAlias

from fastapi import Depends, Request, Response

from api_spec.auction import Auction
from api_spec.problem import ProblemType
from api_spec.settlement import DsoStatement, Statement
from market.api.intake import BadBody
from market.api.pages.rendering import document
from market.api.statement_tables import dso_table, statement_table
from market.api.world import World

Shape: TypeAlias = Literal["application/json", "text/csv", "text/html"]
_SHAPES: Final[tuple[Shape, ...]] = ("application/json", "text/csv", "text/html")
shapes: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {shape: {"schema": {"type": "string"}} for shape in _SHAPES[1:]}}
}
"""How the contract says that an answer has other shapes than JSON."""


def shaped(statement: Statement | DsoStatement, auction: Auction, shape: Shape, world: World) -> Response:
    """A statement as an answer. Each shape has an entity tag of its own."""
    answer = _answer(statement, auction, shape, world)
    suffix = "" if shape == "application/json" else f"-{shape.removeprefix('text/')}"
    answer.headers["ETag"] = f'"{statement.version}{suffix}"'
    answer.headers["Vary"] = "Accept"
    return answer


def _answer(statement: Statement | DsoStatement, auction: Auction, shape: Shape, world: World) -> Response:
    of_dso = isinstance(statement, DsoStatement)
    if shape == "application/json":
        return Response(statement.model_dump_json(), media_type=shape)
    if shape == "text/html":
        template = "dso_statement.html" if of_dso else "statement.html"
        return document(template, world, statement=statement, auction=auction)
    table = dso_table(statement) if isinstance(statement, DsoStatement) else statement_table(statement)
    name = "dso-statement.csv" if of_dso else "statement.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
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
