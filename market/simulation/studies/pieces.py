"""Pieces of a study: each a scenario that is simulated on its own, and an outcome that is kept until it is another."""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import ValidationError

from api_spec.units import Message, NonNegative
from market.simulation.archive import INPUTS
from market.simulation.inputs import CODE, Known
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
    """What came of a piece. key : of the piece it came of. seconds : of wall time that it took."""

    key: str
    seconds: NonNegative

    @property
    @abstractmethod
    def place(self) -> tuple[object, ...]:
        """Where its piece is in the study."""


P = TypeVar("P", bound=Piece)
C = TypeVar("C", bound=Came)


def key_of(scenario: Scenario) -> str:
    """What a simulation depends on, in short, wherever all of it lies; see `studies.folder`."""
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
