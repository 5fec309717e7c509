"""Fetching Kafka's jars by name, once, at set-up."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import requests
from jgo.maven import MavenContext

from foreclick.errors import DownloadMissing
from foreclick.services.jars import CURE, Jar, is_pinned, jar_path, pinned_jars

DOWNLOAD_TIMEOUT_S: Final = 60
CONCURRENT_DOWNLOADS: Final = 4


def fetch_jars(cache_directory: Path, report: Callable[[str], None]) -> None:
    """Download the jars that are missing or damaged; each name that is fetched is given to ``report``.

    A jar reaches its place only whole and checked, so an interrupted fetch is simply run again.
    Raises `DownloadMissing` when a jar cannot be had or is not the pinned one.
    """
    missing = [jar for jar in pinned_jars() if not is_pinned(jar_path(cache_directory, jar), jar)]
    if not missing:
        return
    jar_path(cache_directory, missing[0]).parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=cache_directory, prefix="fetching-") as staging,
        ThreadPoolExecutor(CONCURRENT_DOWNLOADS) as pool,
    ):
        context = MavenContext(repo_cache=Path(staging), timeout=DOWNLOAD_TIMEOUT_S)
        for jar, downloaded in zip(
            missing, pool.map(lambda jar: _download(context, jar), missing), strict=True
        ):
            downloaded.replace(jar_path(cache_directory, jar))
            report(jar.file_name)


def _download(context: MavenContext, jar: Jar) -> Path:
    try:
        artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
        downloaded = Path(artifact.resolve())
    except (requests.RequestException, RuntimeError) as error:
        raise DownloadMissing(f"cannot download Kafka's {jar.file_name}: {error}; {CURE}") from error
    if not is_pinned(downloaded, jar):
        raise DownloadMissing(
            f"the downloaded {jar.file_name} does not have its pinned SHA-256; it was not kept"
        )
    return downloaded
