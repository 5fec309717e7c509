"""The manifest of a version: the size and SHA-256 of each of its files, written last and checked first."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

import msgspec

from model_store.errors import (
    FileAbsentError,
    FileCorruptError,
    FileTruncatedError,
    FormatTooNewError,
    FormatTooOldError,
    ManifestError,
)

if TYPE_CHECKING:
    from pathlib import Path

FORMAT_VERSION: Final = 2
MANIFEST_FILE: Final = "manifest.json"
_READ_BYTES: Final = 1 << 20


class FileEntry(msgspec.Struct, frozen=True):
    """One file of a version, as it was written."""

    sha256: str
    size_bytes: int


class Manifest(msgspec.Struct, frozen=True):
    """What `manifest.json` holds: the format of the artifact and each of its files by name."""

    format_version: int
    files: dict[str, FileEntry]


def verify(directory: Path) -> Manifest:
    """Hold every file in ``directory`` against its manifest, and return that. Raises as `ModelStore.path`."""
    path = directory / MANIFEST_FILE
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError as error:
        raise ManifestError(f"{path} is missing: train the model again") from error
    except msgspec.DecodeError as error:
        raise ManifestError(f"{path} is no manifest ({error}): train the model again") from error
    if manifest.format_version > FORMAT_VERSION:
        raise FormatTooNewError(
            f"{directory} has format {manifest.format_version}, this release reads {FORMAT_VERSION}: "
            "update foreclick"
        )
    if manifest.format_version < FORMAT_VERSION:
        raise FormatTooOldError(
            f"{directory} has format {manifest.format_version}, this release reads {FORMAT_VERSION}: "
            "train the model again"
        )
    for name, entry in manifest.files.items():
        _verify_file(directory / name, entry)
    return manifest


def _verify_file(path: Path, entry: FileEntry) -> None:
    try:
        size_bytes = path.stat().st_size
    except FileNotFoundError as error:
        raise FileAbsentError(f"{path} is missing: train the model again") from error
    if size_bytes != entry.size_bytes:
        raise FileTruncatedError(
            f"{path} has {size_bytes} bytes, not {entry.size_bytes}: copy it again, or train the model again"
        )
    if _sha256(path) != entry.sha256:
        raise FileCorruptError(
            f"{path} does not have the SHA-256 of the manifest: copy it again, or train the model again"
        )


def write_manifest(directory: Path) -> bytes:
    """Flush every file in ``directory`` and write their manifest; return its bytes."""
    files = {}
    for path in sorted(directory.rglob("*")):
        if path.is_dir():
            flush_directory(path)
            continue
        name = path.relative_to(directory).as_posix()
        files[name] = FileEntry(sha256=_sha256(path), size_bytes=path.stat().st_size)
        _flush(path)
    encoded = msgspec.json.format(msgspec.json.encode(Manifest(FORMAT_VERSION, files)), indent=1)
    path = directory / MANIFEST_FILE
    path.write_bytes(encoded)
    _flush(path)
    flush_directory(directory)
    return encoded


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def flush_directory(directory: Path) -> None:
    """Make the names of the files in ``directory`` last through a loss of power."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
