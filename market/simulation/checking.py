"""Whether a scenario could be run, found out without running it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from api_spec.client import MarketClient
from api_spec.defects import defects_of
from api_spec.toml_file import toml_key
from market.simulation.participant import participant_class
from market.simulation.scenario import BadScenario, Scenario
from market.simulation.world import built_agent


class Checks:
    """Builds the agents of scenarios on no market; equal agents of many scenarios are built once."""

    def __init__(self, folder: Path) -> None:
        """Scenarios name files as seen from `folder`."""
        self._folder = folder
        self._nowhere = MarketClient("http://nowhere.invalid")
        self._built: dict[str, BaseModel | BadScenario] = {}

    def defects(self, document: Mapping[str, Any]) -> tuple[str, ...]:
        """What keeps a scenario, as a document, from being run: lines of key and reason; none where nothing does."""
        try:
            scenario = Scenario.model_validate(document).beside(self._folder)
        except ValidationError as failure:
            return tuple(f"{toml_key(each.pointer)}: {each.reason}" for each in defects_of(failure, document))
        try:
            built = [self._built_of(scenario, name) for name in scenario.agents]
        except BadScenario as failure:  # of the network, which all agents need
            built = [failure]
        return tuple(line for each in built if isinstance(each, BadScenario) for line in str(each).splitlines())

    def filled(self, scenario: Scenario) -> dict[str, Any]:
        """The scenario as a document with every default filled in; BadScenario where an agent has a defect."""
        document = scenario.model_dump(mode="json")
        for name in scenario.agents:
            config = self._built_of(scenario, name)
            if isinstance(config, BadScenario):
                raise config
            document["agents"][name]["config"] = config.model_dump(mode="json")
        return document

    def _built_of(self, scenario: Scenario, name: str) -> BaseModel | BadScenario:
        """The agent's whole table, or what is wrong with it."""
        entry = scenario.agents[name]
        try:
            key = json.dumps([name, entry.agent, scenario.table_of(name)], default=str)
        except BadScenario as failure:
            return failure
        if key not in self._built:
            self._built[key] = self._build(scenario, name)
        return self._built[key]

    def _build(self, scenario: Scenario, name: str) -> BaseModel | BadScenario:
        try:
            agent = participant_class(scenario.agents[name].agent)
        except BadScenario as failure:
            return BadScenario(f"agents.{name}.agent: {failure}")
        try:
            return built_agent(agent, self._nowhere, scenario, name).config
        except BadScenario as failure:
            return failure
