"""The code of agents that do not ship with flexmarket: which files it is, and from where Python takes it.

All that an agent's module imports counts, as far as import statements name it, but for the standard library, packages
that are installed (their versions count) and flexmarket itself (market.simulation.versions).
"""

import ast
import contextlib
import hashlib
import importlib
import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Generic, TypeVar

from market.simulation.versions import FLEXMARKET

T = TypeVar("T")
R = TypeVar("R")
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_ADDED: Final = set[str]()
"""Folders that Python looks into because a scenario was read from there, or a run that keeps its modules there."""
_READ: Final[dict[str, str]] = {}
"""Digest of the file from which a module was imported, as it was then."""


@dataclass(frozen=True)
class OwnCode:
    """files : modules by their path below where they are found. packages : versions of what else they import."""

    files: Mapping[str, Path]
    packages: Mapping[str, str]


def own_code(agents: Iterable[str]) -> OwnCode:
    """The code of agents, each "package.module:Class"; nothing of those that ship with flexmarket or do not exist."""
    files, packages = dict[str, Path](), dict[str, str]()
    waiting, known = [name.partition(":")[0] for name in agents], set[str]()
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in known or top in FLEXMARKET or top in sys.stdlib_module_names:
            continue
        known.add(name)
        spec = _spec(name)
        if spec is None or spec.origin is None:
            continue
        file = Path(spec.origin)
        if _is_installed(file):
            packages |= {each: version(each) for each in _distributions().get(top, ())}
            continue
        files[_path_of(name, file, package=spec.submodule_search_locations is not None)] = file
        waiting += [name.rpartition(".")[0]] if "." in name else []
        if file.suffix == ".py":
            waiting += _imports(file, spec)
    return OwnCode(dict(sorted(files.items())), dict(sorted(packages.items())))


def imported(name: str) -> ModuleType:
    """The module of this name; what its file, and others that are imported with it, hold now is remembered."""
    before, wrote = set(sys.modules), sys.dont_write_bytecode
    # Python takes a file that was changed within a second for the one before, if it compiled that.
    sys.dont_write_bytecode = wrote or name.partition(".")[0] not in FLEXMARKET
    try:
        return importlib.import_module(name)
    finally:
        sys.dont_write_bytecode = wrote
        for each in sys.modules.keys() - before:
            file = _own_file(each)
            if file is not None and file.is_file():
                _READ[each] = digest_of(file)


def look_beside(folder: Path) -> None:
    """Modules that lie in a scenario's folder are found there from now on, also by processes that are started.

    What is installed is not hidden by them, and those of another scenario's folder are found no more. A module that was
    imported from elsewhere, or has changed since, is imported again when it is asked for next.
    """
    own = str(folder.resolve())
    sys.path[:] = [each for each in sys.path if each not in _ADDED]
    if own not in sys.path:
        _ADDED.add(own)
        sys.path.append(own)
    _drop_others(Path(own))


def look_first(folder: Path) -> None:
    """The same for a folder of kept modules, unless what is found already is the same, and has its own files beside it.

    None of the kept modules stood behind another of its name, so they come before everything.
    """
    if not folder.is_dir():
        return
    own = str(folder.resolve())
    if not all(map(_is_found, folder.rglob("*.py"), itertools.repeat(folder))):
        _ADDED.add(own)
        sys.path[:] = [own, *(each for each in sys.path if each != own)]
    _drop_others(Path(own))


@dataclass(frozen=True)
class WithCode(Generic[T, R]):
    """A call that finds the modules of a folder, in whatever process it is made."""

    call: Callable[[T], R]
    folder: Path

    def __call__(self, task: T) -> R:
        """Make it."""
        look_first(self.folder)
        return self.call(task)


def digest_of(file: Path) -> str:
    """Of what stands in a file, or in all files of a folder."""
    if not file.is_dir():
        return hashlib.sha256(file.read_bytes()).hexdigest()
    inside = sorted(each for each in file.rglob("*") if each.is_file())
    told = "".join(f"{digest_of(each)} {each.relative_to(file).as_posix()}\n" for each in inside)
    return hashlib.sha256(told.encode()).hexdigest()


def _is_found(kept: Path, folder: Path) -> bool:
    """Whether Python finds a module that is the same as the kept one."""
    parts = kept.relative_to(folder).with_suffix("").parts
    spec = _spec(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    origin = None if spec is None or spec.origin is None else Path(spec.origin)
    return origin is not None and origin.is_file() and digest_of(origin) == digest_of(kept)


def _drop_others(folder: Path) -> None:
    """Forget the modules that `folder` has, where one was imported in another form: others may have imported that."""
    importlib.invalidate_caches()
    there = {each.stem for each in folder.iterdir() if each.suffix == ".py" or each.is_dir()}
    own, stale = set[str](), False
    for name, module in tuple(sys.modules.items()):
        top = name.partition(".")[0]
        file = _own_file(name) if top in there else None
        if file is None:
            continue
        if name not in _READ and file.is_file():
            _READ[name] = digest_of(file)
        here = folder / _path_of(name, file, package=hasattr(module, "__path__"))
        if here.is_file():
            own.add(top)
            stale = stale or digest_of(here) != _READ.get(name)
    for name in [each for each in sys.modules if stale and each.partition(".")[0] in own]:
        del sys.modules[name]
        _READ.pop(name, None)


def _own_file(name: str) -> Path | None:
    """From where a module was imported that neither ships with flexmarket or Python nor is installed."""
    top, named = name.partition(".")[0], getattr(sys.modules[name], "__file__", None)
    file = None if named is None or top in FLEXMARKET or top in sys.stdlib_module_names else Path(named)
    return file if file is not None and not _is_installed(file) else None


def _path_of(name: str, file: Path, *, package: bool) -> str:
    """Where a module lies below the folder that it is found in."""
    path = name.replace(".", "/")
    return f"{path}/{file.name}" if package else f"{path}{''.join(file.suffixes)}"


def _spec(name: str) -> ModuleSpec | None:
    """None of what is no module, such as a class in one; nothing is imported to find out."""
    above, _, _ = name.rpartition(".")
    if not above:
        # What is imported already may be of another folder: every finder is asked, that of the path among them.
        return next((spec for each in sys.meta_path if (spec := each.find_spec(name, None)) is not None), None)
    package = _spec(above)
    if package is None or package.submodule_search_locations is None:
        return None
    return PathFinder.find_spec(name, package.submodule_search_locations)


def is_shipped(file: Path) -> bool:
    """Whether a file of code is flexmarket's, Python's or of a package that is installed."""
    roots = (Path(__file__).parents[2] / each for each in FLEXMARKET)
    python = Path(contextlib.__file__).parent
    return _is_installed(file) or any(map(file.is_relative_to, (python, *roots)))


def _is_installed(file: Path) -> bool:
    return not _INSTALLED.isdisjoint(file.parts)


@cache
def _distributions() -> Mapping[str, Iterable[str]]:
    return packages_distributions()


def _imports(file: Path, spec: ModuleSpec) -> Iterator[str]:
    """What a module imports: modules, and names in them that may be modules, too."""
    package = spec.name if spec.submodule_search_locations is not None else spec.name.rpartition(".")[0]
    try:
        nodes: Iterable[Any] = ast.walk(ast.parse(file.read_bytes()))
    except SyntaxError:  # whoever imports it says so
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                with contextlib.suppress(ImportError):
                    base = importlib.util.resolve_name("." * node.level + base, package)
            yield base
            yield from (f"{base}.{each.name}" for each in node.names)
