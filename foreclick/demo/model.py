"""The model that the demo serves: trained on the first part of its log, or loaded from the model store."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from foreclick.quiet import importing_tensorflow
from model_store.artifacts import ModelStore
from model_store.evaluation import TRAINING_SHARE
from model_store.specification import load_specification

if TYPE_CHECKING:
    from pathlib import Path

    from foreclick.demo.shop_log import ShopLog
    from foreclick.demo.view import View
    from foreclick.settings import Settings
    from model_store.checkpoint import EpochReport

_BETWEEN_LINES_S: Final = 5.0


@dataclass(frozen=True)
class DemoModel:
    """One version in the model store at ``root``, and the directory of its files."""

    root: Path
    name: str
    version: str
    artifact: Path
    window_size: int


def train_demo_model(
    log: ShopLog, settings: Settings, directory: Path, view: View, network: str | None
) -> DemoModel:
    """Train on the first 60 % of the log's time, in ``directory``, and promote the model.

    ``network`` None is the default one; another gives its name to the model. Raises `TrainingError` when the
    log cannot teach a model.
    """
    with importing_tensorflow():  # it takes seconds
        from model_store.training import train
    from model_store.training_settings import default_training_settings

    store = ModelStore(directory / "models")
    trained = train(
        log.events,
        default_training_settings(
            window_size=settings.window_size,
            train_until=TRAINING_SHARE,
            timed=log.timed,
            network=network,
        ),
        store,
        network or settings.model_name,
        _Lines(view),
        work_directory=directory / "training",
    )
    store.promote(trained.name, trained.version, settings.model_alias)
    return _described(store, trained.name, trained.version)


def stored_model(settings: Settings, name: str) -> DemoModel:
    """Return the version of ``name`` that the settings' alias names. Raises ModelStoreError without one."""
    store = ModelStore(settings.model_store)
    return _described(store, name, store.resolve(name, settings.model_alias))


def _described(store: ModelStore, name: str, version: str) -> DemoModel:
    artifact = store.path(name, version)
    return DemoModel(store.root, name, version, artifact, load_specification(artifact).window_size)


class _Lines:
    """Tells how training goes on, an epoch a line, and a line every few seconds between."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._last_s = time.monotonic()

    def batch(self, stage: str, epoch: int, most_epochs: int, share_done: float) -> None:
        """Say how far the epoch is, if the last line is old."""
        if time.monotonic() - self._last_s > _BETWEEN_LINES_S:
            self._say(f"  {stage}, epoch {epoch} of at most {most_epochs}: {share_done:.0%}")

    def epoch(self, report: EpochReport) -> None:
        """Say what an epoch came to."""
        self._say(f"  {report}")

    def _say(self, text: str) -> None:
        self._last_s = time.monotonic()
        self._view.say(text)
