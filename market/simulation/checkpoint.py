"""Where a run goes on from after each delivery: its agents, the market's database, and what identifiers follow.

FOLDER/checkpoint/state.pickle, market.db. A pickle can do anything when it is read: resume only folders of your own.
The checkpoint before stands aside meanwhile: the next one is made of it, so that of a database which grows every day
only what has changed is written.
"""

import contextlib
import io
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from api_spec.client import MarketClient
from api_spec.organisation import Credentials
from market.errors import FlexmarketError
from market.ids import SeededIds
from market.simulation.metering import Arriving
from market.simulation.participant import Participant
from market.simulation.versions import versions
from market.simulation.world import DATABASE
from market.store.copying import refresh_copy

CHECKPOINT: Final = "checkpoint"
_STATE: Final = "state.pickle"
_NOTE: Final = "cannot-be-resumed.txt"
_SPARE: Final = f".{CHECKPOINT}-before"
_NEXT: Final = f".{CHECKPOINT}-next"
CHANGED: Final = "changed.txt"
"""What was not the same any more when a run went on, one line each time; there is none where everything was."""
_CLIENT, _INPUT = "client", "input"
_LEFTOVERS: Final = ("", "-wal", "-shm")


class CannotBeKept(FlexmarketError):
    """An agent that holds something which does not outlive the process."""


class CannotResume(FlexmarketError):
    """A folder that no run can go on from."""


@dataclass(frozen=True)
class Checkpoint:
    """A run between two moments.

    done : how many moments are over. at : virtual time. scenario : as JSON, as seen from the folder's inputs.
    sources : what it depends on beside (market.simulation.inputs). versions : that it was made with.
    accounts : of the operator and of every participant, by name. agents : pickled, without what is outside of them.
    arriving : meter readings on their way.
    """

    done: int
    at: datetime
    scenario: str
    sources: Mapping[str, Any]
    versions: Mapping[str, str]
    operator: Credentials
    accounts: Mapping[str, Credentials]
    ids: SeededIds
    agents: bytes
    arriving: Arriving | None


@dataclass(frozen=True)
class Outside:
    """What agents hold that is not kept with them, but put into its place when they are unpacked.

    clients : by the participant's name. inputs : the folder of a run's inputs, which may be another one then; paths in
    it.
    """

    clients: Mapping[str, MarketClient]
    inputs: Path


def packed(participants: Mapping[str, Participant], outside: Outside) -> bytes:
    """Agents as bytes; CannotBeKept says whose agent is to blame, and why."""
    try:
        return _pickled(dict(participants), outside)
    except Exception as failure:  # whatever an agent holds may fail in its own way
        name = next(name for name, agent in participants.items() if not _can_be_pickled(agent, outside))
        raise CannotBeKept(f"agents.{name} cannot be kept ({type(failure).__name__}: {failure})") from failure


def unpacked(agents: bytes, outside: Outside) -> dict[str, Participant]:
    """The agents as they were, with what is outside now; CannotResume where their code does not go with them."""
    try:
        found: dict[str, Participant] = _Unpickler(io.BytesIO(agents), outside).load()
    except Exception as failure:  # of a class that is no more, or no more the same
        raise CannotResume(f"an agent is not what it was any more ({type(failure).__name__}: {failure})") from failure
    return found


def save(checkpoint: Checkpoint, *, folder: Path) -> None:
    """Keep a checkpoint and a copy of the market's database; at any time this one stands, or the one before."""
    stands, spare, made = (folder / each for each in (CHECKPOINT, _SPARE, _NEXT))
    if spare.exists():
        shutil.rmtree(made, ignore_errors=True)
        spare.rename(made)
    made.mkdir(exist_ok=True)
    (made / _STATE).write_bytes(pickle.dumps(checkpoint))
    refresh_copy(made / DATABASE, of=folder / DATABASE)
    if stands.exists():
        stands.rename(spare)
    made.rename(stands)


def forswear(reason: str, *, folder: Path) -> None:
    """Say in the folder why the run cannot be resumed."""
    (folder / _NOTE).write_text(reason + "\n", encoding="utf-8")


def restored(folder: Path, *, scenario: str, sources: Mapping[str, Any], changed: bool = False) -> Checkpoint | None:
    """The last checkpoint, with the market's database as it was then; None where no delivery was over.

    changed : also where the run was begun with something else, which is then written down. Raises CannotResume where
    it is of another scenario, other files or code, or other versions, and where it could not be kept.
    """
    note = folder / _NOTE
    if note.exists():
        raise CannotResume(f"{folder} cannot be resumed: {note.read_text(encoding='utf-8').strip()}")
    kept = folder / CHECKPOINT
    if not kept.exists() and (folder / _SPARE).exists():
        (folder / _SPARE).rename(kept)  # it was killed between two of them
    if not kept.exists():
        _clear(folder)
        return None
    found = _read(kept / _STATE)
    other = _other(found, scenario, sources)
    if other and not changed:
        raise CannotResume(
            f"{folder} was begun with other {other}; --changed goes on all the same, and nothing repeats the run then"
        )
    if other:
        with (folder / CHANGED).open("a", encoding="utf-8") as file:
            file.write(f"from {found.at.isoformat()} on with other {other}\n")
    _clear(folder)
    shutil.copyfile(kept / DATABASE, folder / DATABASE)
    return found


def _other(found: Checkpoint, scenario: str, sources: Mapping[str, Any]) -> str:
    """What a run is not to go on with as it was begun, in words."""
    parts = {"versions of": (found.versions, versions())}
    parts |= {what: (before, sources[what]) for what, before in found.sources.items()}
    words = []
    for what, (before, now) in parts.items():
        names = sorted(name for name in {**before, **now} if before.get(name) != now.get(name))
        words += [f"{what} {', '.join(names)}"] if names else []
    if not words and found.scenario != scenario:
        words.append("fields of the scenario")
    return "; ".join(words)


def _read(file: Path) -> Checkpoint:
    try:
        found = pickle.loads(file.read_bytes())
    except Exception as failure:  # of another version, or cut off: anything may come of it
        raise CannotResume(f"{file} cannot be read ({type(failure).__name__}: {failure})") from failure
    if not isinstance(found, Checkpoint) or not hasattr(found, "sources"):
        raise CannotResume(f"{file} was written by another version of flexmarket")
    return found


def _clear(folder: Path) -> None:
    """What the market wrote after the checkpoint did not happen."""
    for each in _LEFTOVERS:
        (folder / f"{DATABASE}{each}").unlink(missing_ok=True)


def discard(folder: Path) -> None:
    """Nothing is to go on any more."""
    for each in (CHECKPOINT, _SPARE, _NEXT):
        shutil.rmtree(folder / each, ignore_errors=True)


def _pickled(agents: Any, outside: Outside) -> bytes:
    written = io.BytesIO()
    _Pickler(written, outside).dump(agents)
    return written.getvalue()


def _can_be_pickled(agent: Participant, outside: Outside) -> bool:
    with contextlib.suppress(Exception):
        return bool(_pickled(agent, outside))
    return False


class _Pickler(pickle.Pickler):
    """Writes the name of what is outside for it."""

    def __init__(self, file: io.BytesIO, outside: Outside) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._names = {id(client): name for name, client in outside.clients.items()}
        self._inputs = outside.inputs.resolve()

    def persistent_id(self, obj: Any) -> tuple[str, str] | None:
        if isinstance(obj, MarketClient) and id(obj) in self._names:
            return _CLIENT, self._names[id(obj)]
        if isinstance(obj, Path) and obj.is_relative_to(self._inputs):
            return _INPUT, obj.relative_to(self._inputs).as_posix()
        return None


class _Unpickler(pickle.Unpickler):
    """Reads what is outside for its name."""

    def __init__(self, file: io.BytesIO, outside: Outside) -> None:
        super().__init__(file)
        self._clients, self._inputs = outside.clients, outside.inputs.resolve()

    def persistent_load(self, pid: tuple[str, str]) -> MarketClient | Path:
        kind, name = pid
        return self._clients[name] if kind == _CLIENT else self._inputs / name
