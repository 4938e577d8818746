"""The meter of everything else behind the fuse: asked over HTTP every few seconds, believed as long as it answers.

Whatever stands between the meter and this service (an energy gateway, a script of ten lines) answers a GET with
`{"current_a": [L1, L2, L3]}`: amps that everything but the chargers draws on each phase of the site, feeding in
negative. No answer, another one, or one that does not change is none: then the site's other_a counts.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import httpx
from pydantic import ValidationError

from aggregator_agents.charging.serving.other_load_table import OtherLoadTable
from aggregator_agents.dispatch.cloud import CloudAggregator
from aggregator_agents.fleet import PhaseAmps
from api_spec.units import Message, Real

LOG: Final = logging.getLogger(__name__)


class _Reading(Message):
    current_a: tuple[Real, Real, Real]


class OtherLoadMeter:
    """Reads the meter, and has the cloud observe it."""

    def __init__(self, table: OtherLoadTable, client: httpx.AsyncClient) -> None:
        """Nothing is asked before `run`."""
        self._table, self._client = table, client
        self._well = True

    async def run(self, cloud: CloudAggregator, seconds: Callable[[], float]) -> None:
        """Until cancelled. seconds : the cloud's monotonic clock."""
        while True:
            reading_a = await self.read()
            if reading_a is not None:
                cloud.observe(reading_a, seconds())
            await asyncio.sleep(self._table.every_s)

    async def read(self) -> PhaseAmps | None:
        """What it shows now; None where that cannot be known."""
        try:
            answer = await self._client.get(self._table.url, timeout=self._table.within_s)
            answer.raise_for_status()
            reading = _Reading.model_validate_json(answer.content)
        except (httpx.HTTPError, ValidationError) as failure:
            self._say(type(failure).__name__)
            return None
        self._say(None)
        return reading.current_a

    def _say(self, trouble: str | None) -> None:
        if self._well != (trouble is None):
            level = logging.INFO if trouble is None else logging.WARNING
            LOG.log(level, "the meter of the other load: %s", trouble or "well again")
        self._well = trouble is None
