"""What the doctor looks at in the secrets of the database: whether they stand sealed, and can be opened."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from market.errors import KeyFileUnusable
from market.operation.finding import Finding, ok, problem, warning
from market.store.inspection import secrets_of
from market.store.vault import Vault, vault_of

_AREA: Final = "secrets"


def examine_secrets(engine: Engine) -> Iterator[Finding]:
    """Findings of the secrets area, of a database that answers and has its newest schema."""
    vault = vault_of(engine)
    if vault.file is not None and vault.file.exists():
        yield _mode(vault.file)
    try:
        found = secrets_of(engine)
        keys = vault.keys() if found.total() > found["clear"] else 0
    except KeyFileUnusable as failure:
        advice = "bring back the file that belongs to it, or: flexmarket keys reseal --new-key --lost"
        yield problem(_AREA, "key file", f"{failure.file}: {failure.reason}", advice)
        return
    if found["unreadable"]:
        seen = f"{found['unreadable']} of {found.total()} are sealed with a key that is not in {vault.file}"
        yield problem(_AREA, "in the database", seen, "bring back the file, or: flexmarket keys reseal --lost")
    elif found["clear"] or found["older"]:
        yield warning(_AREA, "in the database", _loose(found["clear"], found["older"]), _advice(vault))
    elif vault.file is None:
        yield warning(_AREA, "in the database", "none yet; they would stand in clear", _advice(vault))
    else:
        yield ok(_AREA, "in the database", f"{found['sealed']} sealed with the first of {keys} keys in {vault.file}")


def _mode(file: Path) -> Finding:
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        return problem(_AREA, "key file", f"{file} has mode {mode:04o}", f"others can read it: chmod 600 {file}")
    return ok(_AREA, "key file", f"{file}, which only its owner reads")


def _loose(clear: int, older: int) -> str:
    parts = (f"{clear} in clear" if clear else "", f"{older} sealed with an older key" if older else "")
    return ", ".join(part for part in parts if part)


def _advice(vault: Vault) -> str:
    if vault.file is None:
        return "who reads the database can sign tokens: FLEXMARKET_KEY_FILE, and flexmarket keys reseal --new-key"
    return "flexmarket keys reseal seals them with the first key"
