"""The addresses of the market's pages, for people; programs find the same below /v1."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from market.api.feed import Feed
from market.api.pages.auction_view import PATH, Outcome
from market.api.pages.rendering import asset, page, run_file
from market.api.problems import TABLE
from market.api.streaming import EventStream, Reader, stream_of
from market.api.world import WorldOf
from market.errors import FlexmarketError, NotFound
from market.figures.run_charts import run_charts
from market.figures.run_folder import REPORT, RunFolder, runs_in
from market.notices.story import audiences_of
from market.workflow.public import all_auctions, public_auction

_MOST_VISITORS: Final = 200
_LIFE_S: Final = 900.0


class PageRoute(APIRoute):
    """A route whose problems are pages, too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, with problems caught."""
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except FlexmarketError as error:
                _, status = TABLE.get(type(error), (None, 500))
                return _problem(request, status, str(error))
            except RequestValidationError as error:
                return _problem(request, 422, "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors()))

        return answer


class ElsewhereRoute(PageRoute):
    """Matches what a browser asks for outside the programs' part of the market."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Only for readers of HTML: anything else gets its problem as JSON."""
        accepted = dict(scope.get("headers", [])).get(b"accept", b"")
        for_programs = scope["path"].startswith(("/v1/", "/auth/"))
        if for_programs or b"text/html" not in accepted:
            return Match.NONE, {}
        return super().matches(scope)


router = APIRouter(route_class=PageRoute, include_in_schema=False)
elsewhere = APIRouter(route_class=ElsewhereRoute, include_in_schema=False)


@router.get("/")
def auctions(world: WorldOf) -> HTMLResponse:
    """All auctions."""
    with world.reading() as work:
        found = all_auctions(work=work)
    return page("auctions.html", world, here="Auctions", auctions=found)


@router.get("/auctions/{auction}")
def one_auction(
    auction: str, world: WorldOf, bus: str | None = None, period: int | None = None, limit: str | None = None
) -> HTMLResponse:
    """One auction: requests, and once published limits, prices, order book and awards.

    bus, period, limit : which of them the charts show; by default the dearest bus, the busiest period, the first limit.
    """
    with world.reading() as work:
        seen = public_auction(auction, work=work)
    outcome = None
    if seen.result is not None:
        outcome = Outcome(seen.auction, seen.result, seen.book, world.settings.local_zone)
    shown = {} if outcome is None else _charts(outcome, bus, period, limit)
    return page(
        "auction.html",
        world,
        here="Auctions",
        path=PATH,
        auction=seen.auction,
        newest=seen.newest,
        requests=seen.requests,
        totals=seen.totals,
        outcome=outcome,
        **shown,
    )


async def _seat(world: WorldOf) -> AsyncIterator[Feed]:
    async with world.feed.seat("visitors", most=_MOST_VISITORS):
        yield world.feed


@router.get("/auctions/{auction}/events", status_code=200, response_class=EventStream)
async def happening(
    auction: str,
    world: WorldOf,
    feed: Annotated[Feed, Depends(_seat)],
    after: Annotated[str | None, Query(max_length=100)] = None,
    last: Annotated[str | None, Header(alias="Last-Event-ID", max_length=100)] = None,
) -> EventStream:
    """What everybody may hear of one auction, for a page that is open. after : the newest event that the page shows."""
    reader = Reader(audiences_of(None), auction, last or after)
    return await stream_of(feed, reader, engine=world.engine, life_s=_LIFE_S)


def _charts(outcome: Outcome, bus: str | None, period: int | None, limit: str | None) -> dict[str, Any]:
    limits = {row.key: row for row in outcome.limits()}
    shown: dict[str, Any] = {"limits": list(limits.values()), "awards": outcome.awards()}
    if limits:
        key = next(iter(limits)) if limit is None else limit
        if key not in limits:
            raise NotFound("limit", key)
        shown["limit_chart"] = outcome.limit_chart(limits[key])
    name = outcome.dearest()[0] if bus is None else bus
    if name not in outcome.prices():
        raise NotFound("bus", name)
    shown |= {"bus": name, "price_map": outcome.price_map(), "parts_chart": outcome.parts_chart(name)}
    if outcome.book:
        at = outcome.busiest() if period is None else period
        if at not in range(outcome.auction.delivery.count):
            raise NotFound("period", str(at))
        shown |= {"period": at, "merit_chart": outcome.merit_chart(at), "cleared_chart": outcome.cleared_chart()}
    return shown


@router.get("/runs")
def runs(world: WorldOf) -> HTMLResponse:
    """Simulated days."""
    return page("runs.html", world, here="Runs", runs=runs_in(world.settings.runs_dir))


@router.get("/runs/{name}")
def one_run(name: str, world: WorldOf) -> HTMLResponse:
    """One simulated day: its short table, its charts, its files."""
    run = _run(name, world)
    names = run.files()
    report = REPORT if any(file.as_posix() == REPORT for file in names) else None
    charts = run_charts(run.tables(), run.zone, run.network())
    return page("run.html", world, here="Runs", run=run, charts=charts, files=names, report=report)


@router.get("/runs/{name}/files/{file:path}")
def one_file(name: str, file: str, world: WorldOf) -> Response:
    """A file of a run."""
    run = _run(name, world)
    found = next((each for each in run.files() if each.as_posix() == file), None)
    if found is None:
        raise NotFound("file", file)
    return run_file(run.path / found, report=file == REPORT)


@router.get("/about")
def about(world: WorldOf) -> HTMLResponse:
    """What this market is, and how to read it."""
    return page("about.html", world, here="About")


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Our style and script, and plotly's script from the installed package."""
    found = asset(name)
    if found is None:
        raise NotFound("file", name)
    return found


@elsewhere.get("/{path:path}")
def nothing(path: str) -> Response:
    """A page that does not exist."""
    raise NotFound("page", f"/{path}")


def _run(name: str, world: WorldOf) -> RunFolder:
    found = next((run for run in runs_in(world.settings.runs_dir) if run.name == name), None)
    if found is None:
        raise NotFound("run", name)
    return found


def _problem(request: Request, status: int, detail: str) -> HTMLResponse:
    heading = {404: "Not found", 409: "Not at this stage", 422: "This address is not right"}.get(
        status, "It did not work"
    )
    return page("problem.html", request.app.state.world, status=status, heading=heading, detail=detail)
