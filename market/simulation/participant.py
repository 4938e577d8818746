"""What a simulated participant is, and how a scenario names it."""

import importlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, Self, cast

from api_spec.client import MarketClient
from market.simulation.scenario import BadScenario


class Participant(Protocol):
    """An agent on the market. Works from `now` and what the market says; a repeated cycle changes nothing."""

    @classmethod
    def build(cls, client: MarketClient, config: Mapping[str, Any]) -> Self:
        """An agent that acts with `client`'s credentials, built of the scenario's table for it."""
        ...

    async def cycle(self, now: datetime) -> None:
        """Market side: read, decide, act."""
        ...

    async def control(self, now: datetime) -> None:
        """Device side, once a minute: set-points to chargers."""
        ...

    def drawn_w(self) -> Mapping[str, float]:
        """True power that its devices draw at each bus now [W], consumption positive; empty without devices."""
        ...


def participant_class(name: str) -> type[Participant]:
    """The class that "package.module:Class" names; BadScenario where there is none or it is no participant."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as failure:
        raise BadScenario(f'no agent "{name}": {failure}') from failure
    except AttributeError as failure:
        raise BadScenario(f'no agent "{name}": module {module} has no {attribute}') from failure
    missing = [each for each in ("build", "cycle", "control", "drawn_w") if not callable(getattr(found, each, None))]
    if missing:
        raise BadScenario(f'"{name}" is no participant: it has no {", no ".join(missing)}')
    return cast(type[Participant], found)
