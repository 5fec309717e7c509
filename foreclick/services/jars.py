"""Kafka's jars as they lie on this machine, each held to the SHA-256 that stands in `kafka_jars.sha256`."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from foreclick.errors import DownloadMissing

CURE: Final = "run `foreclick services fetch` (part of `make setup`) once with a network"


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned jar: its Maven name and the SHA-256 of its bytes, in hexadecimal."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the jar's file."""
        return f"{self.artifact}-{self.version}.jar"


def pinned_jars() -> list[Jar]:
    """Read the committed list of all jars that the broker's class path consists of."""
    lines = files("foreclick.services").joinpath("kafka_jars.sha256").read_text(encoding="utf-8").splitlines()
    jars = []
    for line in lines:
        if not line.startswith("#"):
            sha256, coordinate = line.split()
            group, artifact, version = coordinate.split(":")
            jars.append(Jar(group, artifact, version, sha256))
    return jars


def user_cache() -> Path:
    """Give foreclick's directory inside the user's cache directory."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "foreclick"


def kafka_jars(cache_directory: Path) -> list[Path]:
    """Give the jars of the broker's class path, each checked against its pin; never downloads.

    Raises `DownloadMissing` when one is not there or has other bytes.
    """
    paths = []
    for jar in pinned_jars():
        path = jar_path(cache_directory, jar)
        if not path.is_file():
            raise DownloadMissing(f"Kafka's {jar.file_name} is not in {path.parent}; {CURE}")
        if not is_pinned(path, jar):
            raise DownloadMissing(f"{path} is not the file that it should be; {CURE}, which replaces it")
        paths.append(path)
    return paths


def jar_path(cache_directory: Path, jar: Jar) -> Path:
    """Give the place of a jar, whether or not it is there."""
    return cache_directory / "kafka" / jar.file_name


def is_pinned(path: Path, jar: Jar) -> bool:
    """Tell whether the file is there and has the bytes of the pinned jar."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
