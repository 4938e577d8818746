"""New identifiers of a market: random, or the same again in a repeated simulation."""

import random
import secrets
from typing import Protocol


class NewId(Protocol):
    """Gives a new identifier of a kind: "off" -> "off_1f0c..."."""

    def __call__(self, kind: str, owner: str = "", /) -> str:
        """One that never was before. owner : the organisation that it is made for, where there is one."""
        ...


def random_id(kind: str, owner: str = "", /) -> str:
    """A random identifier: nobody can count from it what others do."""
    return f"{kind}_{secrets.token_hex(10)}"


class SeededIds:
    """Identifiers for a simulation: order by identifier breaks ties, and so a repeated run breaks them alike.

    Every owner has a stream of its own: what one organisation does changes no identifier of another. What follows is
    kept with it, so that it can be written down and go on.
    """

    def __init__(self, seed: int) -> None:
        """From the beginning."""
        self._seed = seed
        self._streams: dict[tuple[str, str], random.Random] = {}

    def __call__(self, kind: str, owner: str = "", /) -> str:
        """The next identifier of a kind."""
        stream = self._streams.get((kind, owner))
        if stream is None:
            stream = self._streams[kind, owner] = random.Random(f"{self._seed} {kind} {owner}")
        return f"{kind}_{stream.randbytes(10).hex()}"
