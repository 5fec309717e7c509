"""The model store: a directory of models, each a directory of versions that are written once, whole.

    ROOT/NAME/versions/0001-1a2b3c4d/   the files of a version and their `manifest.json`
    ROOT/NAME/aliases/champion          a file that holds the name of a version

A version is written beside its place, flushed to the disk and then renamed, so it is there whole or not at
all, whatever dies meanwhile. Its name is its number and the first 8 hexadecimal digits of the SHA-256 of
its manifest. An alias is replaced in the same way. Nothing is ever changed in place. One writer at a time
holds the model's lock, which the system takes back when that process dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from model_store.errors import AliasDanglingError, AliasUnsetError, ModelNameError, ModelUnknownError
from model_store.manifest import flush_directory, verify, write_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAMPION: Final = "champion"

_VERSIONS: Final = "versions"
_ALIASES: Final = "aliases"
_UNFINISHED: Final = ".unfinished-"
_LOCK: Final = ".lock"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_VERSION: Final = re.compile(r"\d{4,}-[0-9a-f]{8}")


class Writing:
    """A version on its way: put the files into ``directory``; ``version`` is its name once published."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._version: str | None = None

    @property
    def version(self) -> str:
        """The version's name. Raises RuntimeError before the version is published."""
        if self._version is None:
            raise RuntimeError("the version has no name before it is published")
        return self._version

    def published_as(self, version: str) -> None:
        """Name the version. Only the store calls this."""
        self._version = version


class ModelStore:
    """Reads and writes versions of models under ``root``. Several processes may share one store."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def models(self) -> list[str]:
        """Return the names of the models that have a version, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(entry.name for entry in self.root.iterdir() if self._version_names(entry.name))

    def versions(self, name: str) -> list[str]:
        """Return the versions of a model, oldest first. Raises `ModelUnknownError` when it has none."""
        found = self._version_names(_checked_name(name))
        if not found:
            raise ModelUnknownError(
                f"no model {name!r} in {self.root}: make it with `foreclick train --model-name {name}`"
            )
        return found

    def aliases(self, name: str) -> dict[str, str]:
        """Return the version that each alias of a model names, as it is written."""
        directory = self.root / _checked_name(name) / _ALIASES
        if not directory.is_dir():
            return {}
        files = sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))
        return {path.name: path.read_text().strip() for path in files}

    def resolve(self, name: str, alias: str = CHAMPION) -> str:
        """Return the version that ``alias`` names.

        Raises `AliasUnsetError` or `AliasDanglingError`, `ModelUnknownError` when the model has no version.
        """
        versions = self.versions(name)
        try:
            version = (self.root / name / _ALIASES / _checked_name(alias)).read_text().strip()
        except FileNotFoundError as error:
            raise AliasUnsetError(
                f"model {name!r} has no {alias!r}: set it by `foreclick models promote {name} {versions[-1]}`"
            ) from error
        if version not in versions:
            raise AliasDanglingError(
                f"{alias!r} of model {name!r} names a version that is not there: "
                f"set it again with `foreclick models promote {name} {versions[-1]}`"
            )
        return version

    def path(self, name: str, version: str) -> Path:
        """Return the directory of a version, after every file was held against the manifest.

        Raises `ModelUnknownError`, `ManifestError`, `FormatTooNewError`, `FormatTooOldError`,
        `FileAbsentError`, `FileTruncatedError` or `FileCorruptError`.
        """
        if version not in self.versions(name):
            raise ModelUnknownError(
                f"model {name!r} has no version {version!r}: see `foreclick models show {name}`"
            )
        directory = self.root / name / _VERSIONS / version
        verify(directory)
        return directory

    def promote(self, name: str, version: str, alias: str = CHAMPION) -> None:
        """Make ``alias`` name ``version``, in one atomic step, after the version's files were verified."""
        self.path(name, version)
        directory = self.root / name / _ALIASES
        directory.mkdir(exist_ok=True)
        path = directory / _checked_name(alias)
        handle, temporary = tempfile.mkstemp(prefix=_UNFINISHED, dir=directory)
        with os.fdopen(handle, "w") as file:
            file.write(version + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        flush_directory(directory)

    @contextmanager
    def writing(self, name: str) -> Iterator[Writing]:
        """Yield a `Writing`, and publish what its directory holds as a new version when the block ends well.

        When the block raises, nothing is published and the directory is removed. While another process
        writes a version of the same model, this waits.
        """
        versions = self.root / _checked_name(name) / _VERSIONS
        versions.mkdir(parents=True, exist_ok=True)
        with (versions / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            writing = Writing(Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=versions)))
            try:
                yield writing
                manifest = write_manifest(writing.directory)
                writing.directory.chmod(0o755)
                writing.published_as(self._publish(writing.directory, name, manifest))
            finally:
                _remove_unfinished(versions)
            flush_directory(versions)

    def _publish(self, directory: Path, name: str, manifest: bytes) -> str:
        content = hashlib.sha256(manifest).hexdigest()[:8]
        number = 1 + max((int(version.split("-")[0]) for version in self._version_names(name)), default=0)
        version = f"{number:04}-{content}"
        directory.rename(self.root / name / _VERSIONS / version)
        return version

    def _version_names(self, name: str) -> list[str]:
        directory = self.root / name / _VERSIONS
        if not directory.is_dir():
            return []
        names = [path.name for path in directory.iterdir() if _VERSION.fullmatch(path.name)]
        return sorted(names, key=lambda version: (int(version.split("-")[0]), version))


def _remove_unfinished(versions: Path) -> None:
    """Remove what writers that died have left. Only the holder of the lock may call this."""
    for path in versions.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(path)


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ModelNameError(
            f"{name!r} cannot be a name: use up to 64 letters, digits, '_', '-', '.', a letter or digit first"
        )
    return name
