"""The file of a backup: a zip archive of the database's copy, and of the manifest that it is held to."""

import hashlib
import os
import struct
import zipfile
import zlib
from datetime import datetime
from pathlib import Path
from typing import IO, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from market.errors import BadBackup
from market.store.copying import Kind

_MANIFEST: Final = "manifest.json"
_COPY: Final = "database"
_PIECE: Final = 1 << 20
_LARGEST_MANIFEST: Final = 1 << 20
_UNREADABLE: Final = (EOFError, KeyError, RuntimeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error)
"""What reading a damaged archive, or a manifest that is none, ends in."""


class Manifest(BaseModel):
    """What a backup holds.

    flexmarket : version of the program that made it. begun_at : everything acknowledged before is in it.
    schema_revision : of the database. rows : of every table. sha256, size_bytes : of the copy, uncompressed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["flexmarket-backup/1"] = "flexmarket-backup/1"
    flexmarket: str
    database: Kind
    schema_revision: str
    begun_at: datetime
    rows: dict[str, int]
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)


def digest(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def pack(file: Path, manifest: Manifest, copy: Path) -> None:
    """Write a new backup file, durably; only its owner may read it: hashes of secrets are in it."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    # What pg_dump writes is compressed already.
    method = zipfile.ZIP_DEFLATED if manifest.database == "sqlite" else zipfile.ZIP_STORED
    with os.fdopen(descriptor, "wb") as written:
        with zipfile.ZipFile(written, "w", method, compresslevel=3) as archive:
            archive.writestr(_MANIFEST, manifest.model_dump_json(indent=1) + "\n")
            archive.write(copy, _COPY)
        written.flush()
        os.fsync(written.fileno())


def read_manifest(file: Path) -> Manifest:
    """What a backup says that it holds; BadBackup. The copy itself is not looked at."""
    with _opened(file) as archive:
        return _manifest(file, archive)


def unpack(file: Path, copy: Path) -> Manifest:
    """Write the copy to a new file; BadBackup where it is not, bit for bit, what was packed."""
    with _opened(file) as archive:
        manifest = _manifest(file, archive)
        try:
            with _entry(file, archive, _COPY) as packed:
                written = _written(packed, copy, at_most=manifest.size_bytes)
        except _UNREADABLE as failure:
            raise BadBackup(file, "is damaged: its copy of the database cannot be read") from failure
    if written != (manifest.size_bytes, manifest.sha256):
        raise BadBackup(file, "is damaged: its copy of the database is not the one that was made")
    return manifest


def _opened(file: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except FileNotFoundError as failure:
        raise BadBackup(file, "there is no such file") from failure
    except _UNREADABLE as failure:
        raise BadBackup(file, "is no backup, or was cut short") from failure


def _entry(file: Path, archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        return archive.open(name)
    except (*_UNREADABLE, OSError) as failure:  # a damaged place in the file is no place that can be gone to
        raise BadBackup(file, f"is no backup of this program's, or is damaged: it has no readable {name}") from failure


def _manifest(file: Path, archive: zipfile.ZipFile) -> Manifest:
    try:
        with _entry(file, archive, _MANIFEST) as packed:
            return Manifest.model_validate_json(packed.read(_LARGEST_MANIFEST))
    except _UNREADABLE as failure:
        raise BadBackup(file, "is no backup of this program's, or is damaged: it has no readable manifest") from failure


def _written(packed: IO[bytes], copy: Path, *, at_most: int) -> tuple[int, str]:
    """Copy a stream to a file, no more than is promised and one piece; gives its size and SHA-256."""
    sha256, size = hashlib.sha256(), 0
    with copy.open("xb") as written:
        while size <= at_most and (piece := packed.read(_PIECE)):
            size += len(piece)
            sha256.update(piece)
            written.write(piece)
    return size, sha256.hexdigest()
