"""Kafka's jars: fetched by name at set-up, and held to the SHA-256 that stands in `kafka_jars.sha256`."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import requests
from jgo.maven import MavenContext

from foreclick.errors import DownloadMissing

DOWNLOAD_TIMEOUT_S: Final = 60
CONCURRENT_DOWNLOADS: Final = 4
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
        path = _place(cache_directory, jar)
        if not path.is_file():
            raise DownloadMissing(f"Kafka's {jar.file_name} is not in {path.parent}; {CURE}")
        if not _is_pinned(path, jar):
            raise DownloadMissing(f"{path} is not the file that it should be; {CURE}, which replaces it")
        paths.append(path)
    return paths


def fetch_jars(cache_directory: Path, report: Callable[[str], None]) -> None:
    """Download the jars that are missing or damaged; each name that is fetched is given to ``report``.

    A jar reaches its place only whole and checked, so an interrupted fetch is simply run again.
    Raises `DownloadMissing` when a jar cannot be had or is not the pinned one.
    """
    missing = [jar for jar in pinned_jars() if not _is_pinned(_place(cache_directory, jar), jar)]
    if not missing:
        return
    _place(cache_directory, missing[0]).parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=cache_directory, prefix="fetching-") as staging,
        ThreadPoolExecutor(CONCURRENT_DOWNLOADS) as pool,
    ):
        context = MavenContext(repo_cache=Path(staging), timeout=DOWNLOAD_TIMEOUT_S)
        for jar, downloaded in zip(
            missing, pool.map(lambda jar: _download(context, jar), missing), strict=True
        ):
            downloaded.replace(_place(cache_directory, jar))
            report(jar.file_name)


def _place(cache_directory: Path, jar: Jar) -> Path:
    return cache_directory / "kafka" / jar.file_name


def _is_pinned(path: Path, jar: Jar) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256


def _download(context: MavenContext, jar: Jar) -> Path:
    try:
        artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
        downloaded = Path(artifact.resolve())
    except (requests.RequestException, RuntimeError) as error:
        raise DownloadMissing(f"cannot download Kafka's {jar.file_name}: {error}; {CURE}") from error
    if not _is_pinned(downloaded, jar):
        raise DownloadMissing(
            f"the downloaded {jar.file_name} does not have its pinned SHA-256; it was not kept"
        )
    return downloaded
