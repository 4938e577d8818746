"""Backups: made while the market serves, of all that was acknowledged before; restored into an empty database only."""

import os
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Engine

from market.errors import BackupFailed, BadBackup, RestoreFailed
from market.operation.archive import Manifest, digest, pack, read_manifest, unpack
from market.store.copying import copying
from market.store.durably import sync
from market.store.inspection import schema_at
from market.store.soundness import Contents


def back_up(engine: Engine, file: Path, *, postgres_bin: Path | None = None) -> Manifest:
    """Write a backup to a new file; the market may serve meanwhile.

    Raises BackupFailed (the file exists, there is nothing to copy, what is there is not sound, the disk is full),
    ToolMissing. Nothing is left of a backup that failed.
    """
    if file.exists():
        raise BackupFailed(f"{file} exists already")
    method, begun_at = copying(engine, postgres_bin=postgres_bin), datetime.now(UTC)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{file.name}-", dir=file.absolute().parent) as folder:
            copy, packed = Path(folder) / "copy", Path(folder) / "packed"
            manifest = _manifest(method.copy(copy), method.kind, copy, begun_at)
            pack(packed, manifest, copy)
            os.link(packed, file)
        sync(file.absolute().parent)
    except OSError as failure:
        raise BackupFailed(f"{file}: {failure.strerror or failure}") from failure
    return manifest


def restore(file: Path, engine: Engine, *, postgres_bin: Path | None = None) -> Manifest:
    """Fill an empty database from a backup, and hold what has come of it to the manifest.

    Raises BadBackup (damaged, cut short, of another kind or of a newer program), DatabaseNotEmpty, RestoreFailed,
    ToolMissing. Unless a RestoreFailed says otherwise, the database is then as empty as it was.
    """
    method = copying(engine, postgres_bin=postgres_bin)
    method.require_empty()
    _require_known(file, read_manifest(file), method.kind)
    beside = Path(engine.url.database or "").absolute().parent if method.kind == "sqlite" else None
    try:
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=beside) as folder:
            copy = Path(folder) / "copy"
            manifest = unpack(file, copy)
            held = method.fill(copy)
    except OSError as failure:
        raise RestoreFailed(f"{file}: {failure.strerror or failure}") from failure
    if (held.revision, held.rows, held.defects) != (manifest.schema_revision, manifest.rows, ()):
        raise RestoreFailed(f"what was restored is not to be served: {_difference(held, manifest)}")
    return manifest


def _manifest(held: Contents, kind: str, copy: Path, begun_at: datetime) -> Manifest:
    if held.defects or held.revision is None:
        raise BackupFailed("the database is not sound: " + "; ".join(held.defects))
    return Manifest.model_validate(
        {
            "flexmarket": version("flexmarket"),
            "database": kind,
            "schema_revision": held.revision,
            "begun_at": begun_at,
            "rows": held.rows,
            "sha256": digest(copy),
            "size_bytes": copy.stat().st_size,
        }
    )


def _require_known(file: Path, manifest: Manifest, kind: str) -> None:
    if manifest.database != kind:
        raise BadBackup(file, f"is of a {manifest.database} database and cannot be restored into {kind}")
    if schema_at(manifest.schema_revision).behind is None:
        made = f"flexmarket {manifest.flexmarket}, schema {manifest.schema_revision}"
        raise BadBackup(file, f"was made by a newer program ({made}), which this one does not know")


def _difference(held: Contents, manifest: Manifest) -> str:
    if held.defects:
        return "; ".join(held.defects)
    tables = sorted(
        name for name in {*held.rows, *manifest.rows} if held.rows.get(name, 0) != manifest.rows.get(name, 0)
    )
    counts = (f"{name} has {held.rows.get(name, 0)} of {manifest.rows.get(name, 0)} rows" for name in tables)
    return "; ".join(counts) or f"its schema is {held.revision} instead of {manifest.schema_revision}"
