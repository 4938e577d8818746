"""The codes at the plugs, made with a key: who has not stood before a plug cannot know its address.

    code(plug)      = base64url(plug) . base64url(HMAC-SHA256(key, "plug" | plug))    printed, as long as the key lives
    proof(seat, ..) = base64url(HMAC-SHA256(key, "form" | seat | stay))               in every form, against forgery
    pseudonym(card) = base64url(HMAC-SHA256(key, "card" | card))                      of a charging card

Each is cut to 24 bytes. A printed code is known to everybody who was ever there, so it opens nothing of a stay by
itself: see WishBook.take_seat.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import Final

_LEAST_BYTES: Final = 32
_MAC_BYTES: Final = 24
_LONGEST: Final = 400


class BadKey(Exception):
    """A key file that cannot be used, and why."""


class Codes:
    """Makes and checks codes. Checking takes as long for a wrong one."""

    def __init__(self, key: bytes) -> None:
        """Under a key of at least 32 random bytes."""
        self._key = key

    @classmethod
    def read(cls, path: Path) -> "Codes":
        """Under the key in a file that only its owner can read; BadKey."""
        try:
            mode, key = path.stat().st_mode, bytes.fromhex(path.read_text(encoding="ascii").strip())
        except (OSError, ValueError) as failure:
            raise BadKey(f"{path}: holds no key in hexadecimal digits") from failure
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise BadKey(f"{path}: others than its owner can read it (chmod 600)")
        if len(key) < _LEAST_BYTES:
            raise BadKey(f"{path}: a key has at least {_LEAST_BYTES} bytes")
        return cls(key)

    def code(self, plug: str) -> str:
        """Of a plug, for its address."""
        return f"{_base64(plug.encode())}.{self._mac('plug', plug)}"

    def plug_of(self, code: str) -> str | None:
        """Whose code it is; None for a wrong one."""
        name, _, mac = code[:_LONGEST].partition(".")
        try:
            plug = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
        except (binascii.Error, ValueError):
            plug = ""
        right = hmac.compare_digest(self.code(plug).encode(), code.encode(errors="replace"))
        return plug if right and mac else None

    def proof(self, seat: str, plug: str, session: str) -> str:
        """That a form came from a page which this browser was shown. seat : its secret, or empty before it has one."""
        return self._mac("form", seat, plug, session)

    def proves(self, proof: str, seat: str, plug: str, session: str) -> bool:
        """Whether it does."""
        return hmac.compare_digest(self.proof(seat, plug, session).encode(), proof.encode(errors="replace"))

    def pseudonym(self, card: str) -> str:
        """Of a charging card: the same for the same card, and nobody finds the card from it without the key."""
        return self._mac("card", card)

    def _mac(self, *parts: str) -> str:
        # The length before each part: no two lists of parts make the same text.
        text = b"".join(len(each := part.encode(errors="replace")).to_bytes(4) + each for part in parts)
        return _base64(hmac.digest(self._key, text, hashlib.sha256)[:_MAC_BYTES])


def make_key(path: Path) -> None:
    """A new key in a new file that only its owner can read; FileExistsError where there is one."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_hex(_LEAST_BYTES) + "\n")


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")
