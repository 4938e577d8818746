"""Secrets at rest: sealed with a key that does not stand in the database (Fernet: AES-128-CBC, HMAC-SHA256).

The key file has one key a line, as `Fernet.generate_key` makes them; `#` begins a comment. The first key seals, all of
them open. It is read anew each time, so that a new key is in force at once, in every process that reads the file.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import Connection, Engine

from market.errors import KeyFileUnusable, SecretsUnreadable
from market.store.durably import sync

VAULT: Final = "flexmarket_vault"
"""Execution option of engines: the vault of their database."""
_SEALED: Final = b"sealed:"


@dataclass(frozen=True)
class Vault:
    """Seals and opens secrets. file : of keys; absent = they stand in clear. makes : a file that is not there is made.

    What stood in clear before there was a key opens as it is.
    """

    file: Path | None = None
    makes: bool = False

    def seal(self, secret: bytes) -> bytes:
        """What may be kept; KeyFileUnusable."""
        if self.file is None:
            return secret
        if self.makes and not self.file.exists():
            with contextlib.suppress(FileExistsError):  # another process was quicker
                _write(self.file, Fernet.generate_key() + b"\n", new=True)
        return _SEALED + self._keys()[0].encrypt(secret)

    def open(self, kept: bytes) -> bytes:
        """The secret again; KeyFileUnusable, SecretsUnreadable."""
        if not is_sealed(kept):
            return kept
        try:
            return MultiFernet(self._keys()).decrypt(kept.removeprefix(_SEALED))
        except InvalidToken as failure:
            raise SecretsUnreadable(str(self.file)) from failure

    def seal_text(self, secret: str) -> str:
        """The same for text."""
        return self.seal(secret.encode()).decode()

    def open_text(self, kept: str) -> str:
        """The same for text."""
        return self.open(kept.encode()).decode()

    def is_of_first_key(self, kept: bytes) -> bool:
        """Whether something was sealed with the key that seals now."""
        if not is_sealed(kept):
            return False
        try:
            self._keys()[0].decrypt(kept.removeprefix(_SEALED))
        except InvalidToken:
            return False
        return True

    def add_key(self) -> int:
        """Put a new key first, durably; those before stay, to open what they sealed. Returns how many there are."""
        if self.file is None:
            raise KeyFileUnusable("-", "there is none: FLEXMARKET_KEY_FILE names one")
        before = self.file.read_bytes() if self.file.exists() else b""
        _write(self.file, Fernet.generate_key() + b"\n" + before, new=not before)
        return len(self._keys())

    def keys(self) -> int:
        """How many keys there are; KeyFileUnusable."""
        return len(self._keys())

    def _keys(self) -> list[Fernet]:
        if self.file is None:
            raise KeyFileUnusable("-", "secrets are sealed, and FLEXMARKET_KEY_FILE names no file")
        try:
            lines = [line.split("#")[0].strip() for line in self.file.read_text(encoding="ascii").splitlines()]
            keys = [Fernet(line) for line in lines if line]
        except OSError as failure:
            raise KeyFileUnusable(str(self.file), failure.strerror or type(failure).__name__) from failure
        except ValueError as failure:
            raise KeyFileUnusable(str(self.file), "a line is no Fernet key") from failure
        if not keys:
            raise KeyFileUnusable(str(self.file), "there is no key in it")
        return keys


def vault_of(engine: Engine | Connection) -> Vault:
    """The vault that an engine was opened with; one without a key where it was opened without."""
    vault = engine.get_execution_options().get(VAULT)
    return vault if isinstance(vault, Vault) else Vault()


def is_sealed(kept: bytes) -> bool:
    """Whether something stands sealed."""
    return kept.startswith(_SEALED)


def _write(file: Path, text: bytes, *, new: bool) -> None:
    """Write a file that only its owner reads, durably, in one step. new : FileExistsError where it is there already."""
    beside = file.with_name(f".{file.name}-{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as written:
            written.write(text)
            written.flush()
            if not new:  # who runs the command may be another than who serves
                stood = file.stat()
                os.fchown(descriptor, stood.st_uid, stood.st_gid)
            os.fsync(descriptor)
        os.link(beside, file) if new else beside.replace(file)
        sync(file.absolute().parent)
    except FileExistsError:
        raise
    except OSError as failure:
        raise KeyFileUnusable(str(file), failure.strerror or type(failure).__name__) from failure
    finally:
        beside.unlink(missing_ok=True)
