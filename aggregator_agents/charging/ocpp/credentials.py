"""Who a station is: its credential says so, never its address. OCPP security profiles 1, 2 and 3.

Source: OCPP 1.6 Security Whitepaper, 2; OCPP 2.0.1 Part 2, A00. Profile 1: basic authentication; 2: the same under TLS;
3: a certificate of the station's own.
"""

import asyncio
import hashlib
import hmac
import secrets
import ssl
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from api_spec.units import Message

SecurityProfile = Literal[1, 2, 3]
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""Parameters of the OWASP Password Storage Cheat Sheet: passwords of stations are random, and all come back at once."""
_AT_ONCE: Final = 2


class TlsFiles(Message):
    """PEM files. authority : of the stations' certificates, for profile 3."""

    certificate: Path
    key: Path
    authority: Path | None = None

    def context(self, profile: SecurityProfile) -> ssl.SSLContext:
        """For a server: TLS 1.2 or later (A00.FR.312); profile 3 demands a certificate of the station."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        if profile == 3:
            assert self.authority is not None, "checked with the settings"
            context.load_verify_locations(self.authority)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def new_password() -> tuple[str, str]:
    """A random password of 40 characters, the longest that OCPP has, and its hash."""
    password = secrets.token_hex(20)
    return password, _HASHER.hash(password)


def hashed(password: str) -> str:
    """What to keep of a password."""
    return _HASHER.hash(password)


class Doorkeeper:
    """Knows the stations and their passwords. Wrong and unknown take the same time."""

    def __init__(self, credentials: Mapping[str, str | None]) -> None:
        """Of the hash of every station's password by its identity; None for one with a certificate."""
        self._hashes = dict(credentials)
        self._nobody = _HASHER.hash(secrets.token_hex(20))
        # Once proven, a password is known by a keyed digest: when all stations come back at once, nobody waits.
        self._key = secrets.token_bytes(32)
        self._proven: dict[str, bytes] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def knows(self, identity: str) -> bool:
        """Whether there is such a station."""
        return identity in self._hashes

    async def proves(self, identity: str, password: str) -> bool:
        """Whether it is the password of a station that we know."""
        digest = hashlib.blake2b(password.encode(), key=self._key).digest()
        proven = self._proven.get(identity)
        if proven is not None and hmac.compare_digest(proven, digest):
            return True
        stored = self._hashes.get(identity) or self._nobody
        async with self._turns:
            right = await asyncio.to_thread(_verified, stored, password)
        if right and stored is not self._nobody:
            self._proven[identity] = digest
            return True
        return False


def basic(header: str | None) -> tuple[str, str] | None:
    """User and password of an Authorization header; None for anything else."""
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = b64decode(token.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError:
        return None
    return (user, password) if colon and user else None


def common_name(certificate: Mapping[str, Any] | None) -> str | None:
    """CN of a verified peer certificate as ssl gives it; None without exactly one."""
    names = [value for each in (certificate or {}).get("subject", ()) for key, value in each if key == "commonName"]
    return names[0] if len(names) == 1 else None


def _verified(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
