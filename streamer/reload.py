"""Watches the model store: a promoted version is loaded and warmed beside the hot path, then swapped in."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Final

from model_store.artifacts import ModelStore
from model_store.errors import ArtifactError
from model_store.pauses import Pause, no_pause
from model_store.serving import ServedModel, load_served_model
from streamer.errors import ModelUnavailable
from streamer.scorer import Scorer
from streamer.warming import warm

logger = logging.getLogger(__name__)

# A part of a model takes up to 10 ms, which the hot path waits for; what gathers meanwhile takes as long.
PAUSE_S: Final = 0.05


def load_champion(
    root: Path, name: str, alias: str, *, exact: bool = False, pause: Pause = no_pause
) -> ServedModel:
    """Return the version of ``name`` that ``alias`` points at, warmed.

    ``exact`` and ``pause`` are as in `load_served_model`. Raises `ModelUnavailable`.
    """
    store = ModelStore(root)
    try:
        model = load_served_model(store, name, store.resolve(name, alias), exact=exact, pause=pause)
    except ArtifactError as error:
        raise ModelUnavailable(f"{error} (`foreclick train` makes a model)") from error
    pause()
    warm(model)
    return model


def let_others() -> None:
    """Let the hot path catch up with what waited while a part of a model was loaded."""
    time.sleep(PAUSE_S)


class ModelWatcher:
    """Swaps a promoted model into the scorer. A version that cannot be loaded is refused, the old stays."""

    def __init__(
        self,
        scorer: Scorer,
        root: Path,
        name: str,
        alias: str,
        interval_ms: int,
        *,
        exact: bool = False,
        pause: Pause = let_others,
    ) -> None:
        """Look after ``scorer``; ``pause`` is made between the parts of a model."""
        self._scorer = scorer
        self._root = root
        self._name = name
        self._alias = alias
        self._exact = exact
        self._pause = pause
        self._interval_s = interval_ms / 1000
        self._refused: str | None = None

    async def run(self) -> None:
        """Look at the alias every interval, until cancelled."""
        while True:
            await asyncio.sleep(self._interval_s)
            await self.look()

    async def look(self) -> None:
        """Swap once, if the alias points at another version than the one that serves."""
        try:
            version = ModelStore(self._root).resolve(self._name, self._alias)
        except ArtifactError as error:
            self._refuse(str(error))
            return
        if version == self._scorer.model.version or version == self._refused:
            return
        try:
            model = await asyncio.to_thread(
                load_champion, self._root, self._name, self._alias, exact=self._exact, pause=self._pause
            )
        except ModelUnavailable as error:
            self._refuse(version, error)
            return
        self._scorer.swap(model)
        self._refused = None
        logger.info("model %s %s serves from here on", model.name, model.version)

    def _refuse(self, what: str, error: Exception | None = None) -> None:
        """Log once that ``what`` is refused."""
        if what != self._refused:
            self._refused = what
            served = self._scorer.model.version
            logger.error("promoted model refused: %s; %s goes on serving", error or what, served)
