"""The market's pages, rendered on the server for people: auctions, prices, the published order book, simulated days."""

from market.api.pages.routes import elsewhere
from market.api.pages.routes import router as pages

__all__ = ["elsewhere", "pages"]
