"""What a simulation depends on beside its scenario's own words: files that it names, and code of one's own agents.

FOLDER/files/DIGEST/NAME   copies of the files, each under what stands in it: another content has another name
FOLDER/code/...            copies of the modules, as they are imported
FOLDER/sources.json        all of them, with their digests, and the versions of what else reads or runs them
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from api_spec.defects import Place
from api_spec.toml_file import toml_key
from market.simulation.own_code import OwnCode, digest_of, own_code
from market.simulation.scenario import Scenario

CODE: Final = "code"
SOURCES: Final = "sources.json"
_FILES: Final = "files"
_SHORT: Final = 12
"""Digits of a digest that a name has."""


@dataclass(frozen=True)
class Sources:
    """Of one scenario, or of several.

    files : every file by the name of its copy. named : that name, by the key in the scenario. code : of its agents.
    packages : versions of those that read the files and that the code imports.
    """

    files: Mapping[str, Path]
    named: Mapping[str, str]
    code: OwnCode
    packages: Mapping[str, str]

    def told(self) -> dict[str, Any]:
        """As a document: names and digests, nothing of where anything lies."""
        code = {path: digest_of(file) for path, file in self.code.files.items()}
        return {"files": dict(self.named), "code": code, "packages": dict(self.packages)}

    def digest(self) -> str:
        """Of all of it."""
        return hashlib.sha256(json.dumps(self.told(), sort_keys=True).encode()).hexdigest()

    def as_given(self, sentence: str, folder: Path) -> str:
        """A sentence about copies in a folder, in which the files are named that they were made of."""
        for name, file in self.files.items():
            sentence = sentence.replace(str(folder.resolve() / name), str(file))
        return sentence

    def keep(self, folder: Path) -> None:
        """Copy what is not there yet, and write down what all of it is."""
        for name, file in self.files.items():
            _copy(file, folder / name)
        for path, file in self.code.files.items():
            _copy(file, folder / CODE / path, again=True)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SOURCES).write_text(json.dumps(self.told(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Known:
    """Digests that were computed before, so that many scenarios that name the same files cost no more than one."""

    names: dict[tuple[Path, int, int], str] = field(default_factory=dict)
    code: dict[frozenset[str], OwnCode] = field(default_factory=dict)

    def name_of(self, file: Path) -> str:
        """Of the copy of a file or folder."""
        state = file.stat()
        key = file, state.st_mtime_ns, state.st_size
        if file.is_dir() or key not in self.names:
            self.names[key] = f"{_FILES}/{digest_of(file)[:_SHORT]}/{file.name}"
        return self.names[key]

    def code_of(self, scenario: Scenario) -> OwnCode:
        """Of all agents of a scenario."""
        agents = frozenset(each.agent for each in scenario.agents.values())
        if agents not in self.code:
            self.code[agents] = own_code(agents)
        return self.code[agents]

    def sources(self, scenario: Scenario) -> tuple[dict[Place, Path], Sources]:
        """What a scenario depends on, and under which names its copies stand; files that are not there are left out.

        scenario : whose files are named as they are found from here.
        """
        there = {place: path for place, path in scenario.files.items() if path.exists()}
        names = {place: self.name_of(path) for place, path in there.items()}
        code = self.code_of(scenario)
        readers = scenario.grid.readers if scenario.grid is not None else ()
        found = Sources(
            files={names[place]: path for place, path in there.items()},
            named={_key(place): name for place, name in names.items()},
            code=code,
            packages={**code.packages, **_versions(readers)},
        )
        return {place: Path(name) for place, name in names.items()}, found


def kept(scenario: Scenario, folder: Path) -> tuple[Scenario, Sources]:
    """The scenario as it is when what it depends on has been kept in a folder; nothing is kept yet."""
    names, sources = Known().sources(scenario)
    return scenario.naming(names).beside(folder), sources


def together(every: Iterable[Sources]) -> Sources:
    """Those of several scenarios in one."""
    files, named, modules, packages = dict[str, Path](), dict[str, str](), dict[str, Path](), dict[str, str]()
    for each in every:
        files |= each.files
        # A key that is varied names several.
        named |= {key if named.get(key, name) == name else f"{key}: {name}": name for key, name in each.named.items()}
        modules |= each.code.files
        packages |= each.packages
    return Sources(files, named, OwnCode(modules, {}), packages)


def _key(place: Place) -> str:
    return toml_key("/" + "/".join(map(str, place)))


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = dict[str, str]()
    for each in packages:
        try:
            found[each] = version(each)
        except PackageNotFoundError:  # the reader says so, if it needs it
            continue
    return found


def _copy(file: Path, copy: Path, *, again: bool = False) -> None:
    """Whole or not at all. again : also where there is one already."""
    if copy.exists() and (not again or copy.samefile(file)):
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    partial = copy.with_name(f".{copy.name}.partial")
    if file.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(file, partial)
    else:
        shutil.copyfile(file, partial)
    partial.replace(copy)
