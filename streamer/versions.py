"""Model versions that serve no more, for records that they scored first and that are due again."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from model_store.artifacts import ModelStore
from model_store.errors import ArtifactError
from model_store.serving import ServedModel, load_served_model
from streamer.errors import ModelUnavailable

logger = logging.getLogger(__name__)

KEPT_VERSIONS: Final = 2


class VersionShelf:
    """Loads versions from the model store when they are asked for, and keeps the last `KEPT_VERSIONS`."""

    def __init__(self, root: Path, name: str, *, exact: bool = False) -> None:
        self._root = root
        self._name = name
        self._exact = exact
        self._kept: dict[str, ServedModel] = {}
        self._loading = asyncio.Lock()

    async def get(self, version: str) -> ServedModel:
        """Return ``version``. Raises `ModelUnavailable` when the store has it no more, or it is damaged."""
        async with self._loading:
            model = self._kept.pop(version, None)
            if model is None:
                logger.info("loads model version %s, which scored these records first", version)
                model = await asyncio.to_thread(self._load, version)
            self._kept[version] = model
            while len(self._kept) > KEPT_VERSIONS:
                del self._kept[next(iter(self._kept))]
            return model

    def _load(self, version: str) -> ServedModel:
        try:
            return load_served_model(ModelStore(self._root), self._name, version, exact=self._exact)
        except ArtifactError as error:
            raise ModelUnavailable(
                f"records that version {version} of {self._name} scored first are due again, and it "
                f"cannot be loaded: {error}. Put the version back into the model store; another one would "
                "publish other predictions under the same ids"
            ) from error
