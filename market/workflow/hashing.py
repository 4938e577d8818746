"""Hashes of secrets: dear on purpose, and therefore only a few at once."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from market.errors import Busy


class Hashing:
    """Argon2id, 50 to 100 ms of CPU and 64 MiB a hash.

    at_once : hashes that are computed at the same time; further ones are refused with Busy instead of queueing, so that
    nobody can stop the market by guessing secrets.
    """

    def __init__(self, *, at_once: int, hasher: PasswordHasher | None = None) -> None:
        """Nothing is computed yet. hasher : absent = as dear as argon2-cffi recommends."""
        self._hasher = hasher or PasswordHasher()
        self._free = threading.BoundedSemaphore(at_once)

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe(32))

    def of(self, secret: str) -> str:
        """The hash to keep of a secret, with its salt."""
        with self._turn():
            return self._hasher.hash(secret)

    def fits(self, secret: str, kept: str | None) -> bool:
        """Whether a hash is that of a secret. None fits nothing, and takes as long: so time tells nothing."""
        with self._turn():
            try:
                return self._hasher.verify(kept or self._nobody, secret)
            except VerifyMismatchError:
                return False

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._free.acquire(blocking=False):
            raise Busy("secrets of other clients are being checked")
        try:
            yield
        finally:
            self._free.release()


HASHING: Final = Hashing(at_once=4)
"""The process's own: the bound is on what one machine can compute."""

CHEAP: Final = Hashing(at_once=4, hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
"""For a market that nobody can reach, such as a simulation's: its secrets protect nothing."""
