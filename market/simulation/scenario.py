"""A scenario: what is simulated, as a TOML file."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from api_spec.auction import Product
from api_spec.defects import defects_of, refuse
from api_spec.period import Instant, MarketPeriod
from api_spec.units import Message
from market.errors import FlexmarketError


class BadScenario(FlexmarketError):
    """A scenario that cannot be simulated; one line for each defect: file, key and reason."""


class AgentEntry(Message):
    """One participant. agent : where its class is, "package.module:Class"; config : the table it is built of."""

    agent: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    role: Literal["dso", "aggregator"]
    config: dict[str, Any] = Field(default_factory=dict)


class Scenario(Message):
    """One simulated delivery.

    feeder : name of the network. begins : when virtual time starts. agents : participants by the name under which
    they register, at least one DSO.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    feeder: Annotated[str, Field(min_length=1, max_length=100)]
    begins: Instant
    gate_closure: Instant
    delivery: MarketPeriod
    product: Product
    agents: Annotated[dict[str, AgentEntry], Field(min_length=1, max_length=1000)]
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        defects: list[tuple[tuple[str | int, ...], str]] = []
        if self.gate_closure > self.delivery.start:
            defects.append((("gate_closure",), "must not be after the start of delivery"))
        if self.begins >= self.gate_closure:
            defects.append((("begins",), "must be before gate_closure"))
        if not any(each.role == "dso" for each in self.agents.values()):
            defects.append((("agents",), "needs a DSO"))
        refuse("Scenario", defects)
        return self


def read_scenario(path: Path) -> Scenario:
    """The scenario in a TOML file; BadScenario says what is wrong at which key."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as failure:
        raise BadScenario(f"{path}: cannot be read ({failure})") from failure
    except tomllib.TOMLDecodeError as failure:
        raise BadScenario(f"{path}: {failure}") from failure
    try:
        return Scenario.model_validate(document)
    except ValidationError as failure:
        defects = defects_of(failure, document)
        raise BadScenario("\n".join(f"{path}:{_key(each.pointer)}: {each.reason}" for each in defects)) from failure


def _key(pointer: str) -> str:
    """A JSON pointer as TOML writes a key: agents.lot.role."""
    return ".".join(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
