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
_LEFTOVERS: Final = ("", "-wal", "-shm")


class CannotBeKept(FlexmarketError):
    """An agent that holds something which does not outlive the process."""


class CannotResume(FlexmarketError):
    """A folder that no run can go on from."""


@dataclass(frozen=True)
class Checkpoint:
    """A run between two moments.

    done : how many moments are over. at : virtual time. scenario : as JSON. versions : that it was made with.
    accounts : of the operator and of every participant, by name. agents : pickled, without their clients.
    arriving : meter readings on their way.
    """

    done: int
    at: datetime
    scenario: str
    versions: Mapping[str, str]
    operator: Credentials
    accounts: Mapping[str, Credentials]
    ids: SeededIds
    agents: bytes
    arriving: Arriving | None


def packed(participants: Mapping[str, Participant], clients: Mapping[str, MarketClient]) -> bytes:
    """Agents as bytes; CannotBeKept says whose agent is to blame, and why."""
    try:
        return _pickled(dict(participants), clients)
    except Exception as failure:  # whatever an agent holds may fail in its own way
        name = next(name for name, agent in participants.items() if not _can_be_pickled(agent, clients))
        raise CannotBeKept(f"agents.{name} cannot be kept ({type(failure).__name__}: {failure})") from failure


def unpacked(agents: bytes, clients: Mapping[str, MarketClient]) -> dict[str, Participant]:
    """The agents as they were, with these clients instead of theirs."""
    found: dict[str, Participant] = _Unpickler(io.BytesIO(agents), clients).load()
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


def restored(folder: Path, *, scenario: str) -> Checkpoint | None:
    """The last checkpoint, with the market's database as it was then; None where no delivery was over.

    Raises CannotResume where the run is of another scenario or other versions, or could not be kept.
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
    found: Checkpoint = pickle.loads((kept / _STATE).read_bytes())
    if found.scenario != scenario:
        raise CannotResume(f"{folder} is a run of another scenario than the one in its inputs")
    changed = [name for name, now in versions().items() if found.versions.get(name) != now]
    if changed:
        raise CannotResume(f"{folder} was begun with other versions of {', '.join(changed)}")
    _clear(folder)
    shutil.copyfile(kept / DATABASE, folder / DATABASE)
    return found


def _clear(folder: Path) -> None:
    """What the market wrote after the checkpoint did not happen."""
    for each in _LEFTOVERS:
        (folder / f"{DATABASE}{each}").unlink(missing_ok=True)


def discard(folder: Path) -> None:
    """Nothing is to go on any more."""
    for each in (CHECKPOINT, _SPARE, _NEXT):
        shutil.rmtree(folder / each, ignore_errors=True)


def _pickled(agents: Any, clients: Mapping[str, MarketClient]) -> bytes:
    written = io.BytesIO()
    _Pickler(written, clients).dump(agents)
    return written.getvalue()


def _can_be_pickled(agent: Participant, clients: Mapping[str, MarketClient]) -> bool:
    with contextlib.suppress(Exception):
        return bool(_pickled(agent, clients))
    return False


class _Pickler(pickle.Pickler):
    """Writes a participant's name for its client."""

    def __init__(self, file: io.BytesIO, clients: Mapping[str, MarketClient]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._names = {id(client): name for name, client in clients.items()}

    def persistent_id(self, obj: Any) -> str | None:
        return self._names.get(id(obj)) if isinstance(obj, MarketClient) else None


class _Unpickler(pickle.Unpickler):
    """Reads a participant's client for its name."""

    def __init__(self, file: io.BytesIO, clients: Mapping[str, MarketClient]) -> None:
        super().__init__(file)
        self._clients = clients

    def persistent_load(self, pid: str) -> MarketClient:
        return self._clients[pid]
