"""New identifiers of a market: random, or the same again in a repeated simulation."""

import random
import secrets
from collections.abc import Callable
from typing import TypeAlias

NewId: TypeAlias = Callable[[str], str]
"""Gives a new identifier of a kind: "off" -> "off_1f0c..."."""


def random_id(kind: str) -> str:
    """A random identifier: nobody can count from it what others do."""
    return f"{kind}_{secrets.token_hex(10)}"


def seeded_ids(seed: int) -> NewId:
    """Identifiers for a simulation: order by identifier breaks ties, and so a repeated run breaks them alike."""
    source = random.Random(seed)
    return lambda kind: f"{kind}_{source.randbytes(10).hex()}"
