"""Pieces of a study: each a scenario that is simulated on its own, and an outcome that is kept until it is another."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast

from pydantic import ValidationError

from api_spec.units import Message
from market.simulation.archive import INPUTS
from market.simulation.inputs import CODE, Known, together
from market.simulation.occupied import occupied
from market.simulation.own_code import WithCode
from market.simulation.scenario import BadScenario, Scenario
from market.simulation.sweep.executors import Answer, Executor, Failure, run_all
from market.simulation.versions import versions


class Piece(Protocol):
    """What is to be run; a frozen dataclass."""

    @property
    def scenario(self) -> Scenario:
        """What is simulated."""
        ...

    @property
    def place(self) -> tuple[object, ...]:
        """Where it is in the study."""
        ...

    @property
    def key(self) -> str:
        """What its outcome depends on, in short."""
        ...

    def file(self, folder: Path) -> Path:
        """Where its outcome is kept."""
        ...


class Came(Message):
    """What came of a piece. key : of the piece it came of."""

    key: str


_COVERED: Final = (
    "every field of its scenario, what stands in the files that this and the tables of its agents name, the code of "
    "agents that do not ship with flexmarket and of what that imports, and the versions below"
)
P = TypeVar("P", bound=Piece)
C = TypeVar("C", bound=Came)


def keep_inputs(
    pieces: Sequence[P], folder: Path, *, scenario: Path, catalogue: Path | Traversable, name: str
) -> tuple[P, ...]:
    """Keep what a study is made from in its folder; the pieces, which need nothing else then.

    scenario, catalogue : TOML files; name : of the latter there. Files that the pieces name, those of the catalogue as
    seen from its folder, and the code of their agents are copied, too, and what the key of a piece covers is written
    down.
    """
    inputs, known = folder / INPUTS, Known()
    beside = catalogue.parent if isinstance(catalogue, Path) else scenario.parent
    seen = [piece.scenario.beside(beside) for piece in pieces]
    found = [known.sources(each) for each in seen]
    sources = together(own for _, own in found)
    covered = {"the key of a piece covers": _COVERED, "sources": sources.told(), "versions": dict(versions())}
    with occupied(folder):
        sources.keep(inputs)
        for file, kept in ((scenario, "scenario"), (catalogue, name)):
            (inputs / f"{kept}.toml").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
        (inputs / "covered.json").write_text(json.dumps(covered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    scenarios = (own.naming(names).beside(inputs) for own, (names, _) in zip(seen, found, strict=True))
    # A piece is a dataclass of some kind, which is more than its protocol can say.
    return tuple(replace(cast(Any, piece), scenario=own) for piece, own in zip(pieces, scenarios, strict=True))


def key_of(scenario: Scenario) -> str:
    """What a simulation depends on, in short, wherever all of it lies; see `_COVERED`."""
    names, sources = Known().sources(scenario)
    text = scenario.naming(names).model_dump_json() + sources.digest() + json.dumps(dict(versions()), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def named(chosen: str | None, known: Iterable[str], what: str) -> tuple[str, ...]:
    """Names of a comma-separated list, in the order in which they are known; None = all. BadScenario for another."""
    every = tuple(known)
    asked = set(every) if chosen is None else {each.strip() for each in chosen.split(",")}
    for each in sorted(asked.difference(every)):
        raise BadScenario(f'no {what} "{each}"; there are {", ".join(every)}')
    return tuple(each for each in every if each in asked)


def run_pieces(
    pieces: Sequence[P],
    call: Callable[[P], C],
    kind: type[C],
    *,
    folder: Path,
    executor: Executor,
    told: Callable[[P, C | Failure], object],
) -> tuple[C, ...]:
    """Run what is not known in the folder yet, each piece kept as soon as it is done; those that failed are left out.

    call : runs a piece. told : of every one that is done, or has failed.
    """
    found = {piece.place: outcome for piece in pieces if (outcome := _known(piece, kind, folder)) is not None}
    missing = [piece for piece in pieces if piece.place not in found]
    for piece in pieces:
        if piece.place in found:
            told(piece, found[piece.place])

    def done(answer: Answer[C]) -> None:
        piece = missing[answer.number]
        if answer.value is not None:
            found[piece.place] = answer.value
            _keep(answer.value, piece.file(folder))
        came = answer.value or answer.failure
        assert came is not None, "an answer is a value or a failure"
        told(piece, came)

    with occupied(folder):
        run_all(WithCode(call, folder.resolve() / INPUTS / CODE), missing, executor=executor, each=done)
    return tuple(found[piece.place] for piece in pieces if piece.place in found)


def _known(piece: Piece, kind: type[C], folder: Path) -> C | None:
    """What came of a piece before, if it is the same as it would be now."""
    try:
        found = kind.model_validate_json(piece.file(folder).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError):  # of a version that told less, or more
        return None
    return found if found.key == piece.key else None


def _keep(outcome: Came, file: Path) -> None:
    """Keep it whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(outcome.model_dump_json(indent=1) + "\n", encoding="utf-8")
    partial.replace(file)
