"""The addresses of the market's pages."""

from collections.abc import Callable, Coroutine
from datetime import datetime, tzinfo
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from plotly.offline import get_plotlyjs

from api_spec.ids import AuctionId
from market.api.pages.auction_view import PATH, Outcome
from market.api.pages.reads import MarketReads
from market.api.pages.rendering import HEADERS, REPORT_HEADERS, page
from market.figures.run_charts import run_charts
from market.figures.run_folder import REPORT, RunFolder, runs_in

Answer = HTMLResponse | Response
ASSETS = {"flexmarket.css": "text/css", "figures.js": "text/javascript"}
PLOTLY = "plotly.min.js"
Problem = Callable[[Exception], tuple[int, str]]


def pages(
    reads: MarketReads, *, now: Callable[[], datetime], zone: tzinfo, runs_dir: Path, problem: Problem
) -> APIRouter:
    """All pages. problem : HTTP status of a FlexmarketError and the sentence to show; not for pages to decide."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    _add_auctions(router, reads, now, zone)
    return router
