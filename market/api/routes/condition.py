"""How the market is, for whoever starts, stops and watches it."""

from fastapi import APIRouter, Request

from api_spec.condition import Health, Ready
from market.api.readiness import Readiness
from market.errors import NotReady

router = APIRouter()


@router.get("/health")
async def health() -> Health:
    """Whether the process answers. Nothing else is asked: what does not answer here is to be restarted."""
    return Health()


@router.get("/ready")
async def ready(request: Request) -> Ready:
    """Whether the market can do its work; 503 names the checks that fail. What is not ready gets no requests."""
    readiness: Readiness = request.app.state.readiness
    answers = await readiness.asked()
    failures = {name: reason for name, reason in answers.items() if reason is not None}
    if failures:
        raise NotReady(failures)
    return Ready(checks=dict.fromkeys(answers, "ok"))
