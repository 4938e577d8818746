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


def seeded_ids(seed: int) -> NewId:
    """Identifiers for a simulation: order by identifier breaks ties, and so a repeated run breaks them alike.

    Every owner has a stream of its own: what one organisation does changes no identifier of another.
    """
    streams: dict[tuple[str, str], random.Random] = {}

    def new_id(kind: str, owner: str = "", /) -> str:
        stream = streams.setdefault((kind, owner), random.Random(f"{seed} {kind} {owner}"))
        return f"{kind}_{stream.randbytes(10).hex()}"

    return new_id
