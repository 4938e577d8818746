"""The only FastAPI: the market over HTTP, and its pages."""
