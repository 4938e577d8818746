"""The same days with a network that its DSO sees better and better: what that changes in what it buys.

OUT/inputs/scenario.toml, degrees.toml       as they were given
OUT/degrees/NAME/CHANCE.json                 every degree under every seed; what is there is not run again
OUT/results/observability.parquet            one row for each of them, see market.simulation.studies.seeing
OUT/study.json                               titles, and what each degree is, for people
OUT/timing.json                              what each of them took [s]
OUT/report.html                              the tables and figures, in one file

How a DSO plans is held fixed within a group of degrees: what differs there is what it sees.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import Field, ValidationError, model_validator

from api_spec.defects import Place, defects_of, refuse, unknown
from api_spec.toml_file import BadFile, read_toml, toml_key
from api_spec.units import Message
from market.simulation.checking import Checks
from market.simulation.scenario import AgentEntry, BadScenario, Scenario
from market.simulation.studies.instruments import Name, merged, seeded
from market.simulation.studies.pieces import key_of

SHIPPED: Final = files("market.simulation.studies") / "observability.toml"


class Degree(Message):
    """How much is seen.

    metering : keys of the scenario's table, absent = no instruments. dso : of DSOs' agents. against : a degree above it
    that it is compared with, on the same days; absent = none.
    """

    title: Annotated[str, Field(min_length=1, max_length=60)]
    note: str = ""
    metering: dict[str, Any] | None = None
    dso: dict[str, Any] = Field(default_factory=dict)
    against: Name | None = None


class Degrees(Message):
    """Degrees by their names, in the order of tables and reports."""

    degrees: Annotated[dict[Name, Degree], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _against_what_is_above(self) -> Self:
        defects: list[tuple[Place, str]] = []
        above: list[str] = []
        for name, each in self.degrees.items():
            if each.against is not None and each.against not in above:
                reason = unknown("degree", each.against, above, "above it")
                defects.append((("degrees", name, "against"), reason))
            above.append(name)
        refuse("Degrees", defects)
        return self


@dataclass(frozen=True)
class Task:
    """A degree to be simulated. seed : of chance; None = the scenario's own seeds."""

    name: str
    seed: int | None
    title: str
    scenario: Scenario

    @property
    def place(self) -> tuple[str, int | None]:
        """Where it is in the study."""
        return self.name, self.seed

    @property
    def key(self) -> str:
        """What it depends on, in short."""
        return key_of(self.scenario)

    @property
    def label(self) -> str:
        """For people."""
        return self.title if self.seed is None else f"{self.title}, seed {self.seed}"

    def file(self, folder: Path) -> Path:
        """Where what came of it is kept."""
        chance = "own-seeds" if self.seed is None else f"seed-{self.seed}"
        return folder / "degrees" / self.name / f"{chance}.json"


def read_degrees(file: Path | None = None) -> Degrees:
    """Those that ship with flexmarket, or those of a file; BadScenario says what is wrong at which key."""
    source: Path | Traversable = file or SHIPPED
    try:
        return read_toml(source, Degrees)
    except BadFile as failure:
        raise BadScenario(str(failure)) from failure


def tasks_of(
    scenario: Scenario,
    degrees: Degrees,
    names: Sequence[str],
    *,
    history_days: int,
    seeds: Sequence[int | None] = (None,),
) -> tuple[Task, ...]:
    """All degrees that are asked for, by seed; BadScenario before anything is run, and where nothing ever strays.

    history_days : as many days of readings stand before the scenario begins.
    """
    around = scenario.surroundings
    if around.load.std == around.common.std == 0 and not around.pv and not around.heat_pumps:
        raise BadScenario(
            f'scenario "{scenario.name}": its load is exactly its profile, so there is nothing to observe'
        )
    checks = Checks(Path())
    chances = {seed: scenario if seed is None else seeded(scenario, seed) for seed in seeds}
    return tuple(
        Task(name, seed, degrees.degrees[name].title, _seen(under, degrees.degrees[name], name, history_days, checks))
        for seed, under in chances.items()
        for name in names
    )


def _seen(scenario: Scenario, degree: Degree, name: str, history_days: int, checks: Checks) -> Scenario:
    metering = None
    if degree.metering is not None:
        own = {} if scenario.metering is None else scenario.metering.model_dump(exclude_unset=True)
        metering = {**merged({key: own[key] for key in degree.metering if key in own}, degree.metering)}
        metering["history_days"] = history_days
    document = {
        **{key: getattr(scenario, key) for key in Scenario.model_fields},
        "agents": {who: _told(entry, degree, scenario) for who, entry in scenario.agents.items()},
        "metering": metering,
    }
    try:
        found = Scenario.model_validate(document)
        checks.filled(found)
    except ValidationError as failure:
        lines = (f"{toml_key(each.pointer)}: {each.reason}" for each in defects_of(failure, document))
        raise BadScenario("\n".join(f"degrees.{name}.{line}" for line in lines)) from failure
    except BadScenario as failure:
        # Its own pointer, for what the file of degrees says.
        tables = "|".join(re.escape(who) for who, entry in scenario.agents.items() if entry.role == "dso")
        raise BadScenario(re.sub(rf"agents\.({tables})\.config\b", f"degrees.{name}.dso", str(failure))) from failure
    return found


def _told(entry: AgentEntry, degree: Degree, scenario: Scenario) -> AgentEntry:
    """A DSO knows that there were no fleets in the history."""
    if entry.role != "dso":
        return entry
    own = {key: value for key, value in entry.config.items() if key != "estimating"}
    own["chargers_since"] = scenario.begins.isoformat()
    return entry.model_copy(update={"config": merged(own, degree.dso)})
