"""Training, from a log to a version in the model store.

A run first searches: it learns the fitting part until the validation part no longer gains. Then, so that
the newest events and items are not lost on the model, it refits: a fresh network learns the whole
training part for the epochs, and at the rates, that the search found best. The test part is only measured.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import xxhash

from model_store.checkpoint import Checkpoint, Course
from model_store.chunks import stretches
from model_store.cleaning.tables import clean_table
from model_store.completion import Comparison, add_churn, add_session_purchase, compared, with_companion
from model_store.distribution import ALONE
from model_store.errors import TrainingError
from model_store.export import SEARCHED_DIRECTORY, export
from model_store.parts import Split, sampled_by_user, split_log
from model_store.run import Progress, Run
from model_store.sequences import EventTable
from model_store.specification import METRICS_FILE, TRAINING_FILE
from model_store.training_settings import TrainingSettings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from model_store.artifacts import ModelStore
    from model_store.cleaning.pipeline import Cleaning
    from model_store.distribution import Together
    from producers.events import Event

LEAST_EVENTS: Final = 20
_VALIDATION_SHARE: Final = (0.02, 0.15)
_VALIDATION_USERS: Final = 4_000


@dataclass(frozen=True)
class TrainedModel:
    """What a run made: the version it published, the course that led there, and what the model is worth."""

    name: str
    version: str
    directory: Path
    course: Course
    comparison: Comparison


def train(
    events: Iterable[Event],
    settings: TrainingSettings,
    store: ModelStore,
    name: str,
    progress: Progress,
    *,
    work_directory: Path,
    resume: bool = False,
) -> TrainedModel:
    """Train on ``events``, in any order, and publish the model as a new version of ``name``.

    A checkpoint is kept in ``work_directory`` after each epoch; ``resume`` goes on from it. The same
    events and settings give the same model on the same machine. Raises `TrainingError` when the log
    cannot teach a model, or the checkpoint is another run's.
    """
    table = EventTable.from_events(events)
    return train_table(table, settings, store, name, progress, work_directory=work_directory, resume=resume)


def train_table(
    table: EventTable,
    settings: TrainingSettings,
    store: ModelStore,
    name: str,
    progress: Progress,
    *,
    work_directory: Path,
    resume: bool = False,
    together: Together = ALONE,
) -> TrainedModel:
    """Train on the events of ``table``; see `train`. Of several processes ``together``, this is the first."""
    split, cleaning, checkpoint = prepared(table, settings, work_directory)
    course, stage = Run(settings, split, checkpoint, progress, together).complete(resume=resume)
    comparison = compared(split, course, stage, settings.most_baseline_events)
    stage.encoder.cleaning = cleaning  # the table that it was fitted on is repaired already
    with store.writing(name) as writing:
        export(writing.directory, stage, lambda done, items: progress.batch("item index", 1, 1, done / items))
        if settings.refit and checkpoint.searched.is_dir():
            shutil.copytree(checkpoint.searched, writing.directory / SEARCHED_DIRECTORY)
        comparison = with_companion(writing.directory, split, comparison, refit=settings.refit)
        add_session_purchase(writing.directory, sampled_by_user(split.whole, settings.most_measured_events))
        comparison = replace(comparison, churn=add_churn(writing.directory, split, refit=settings.refit))
        _write_json(writing.directory / TRAINING_FILE, {"settings": settings, "course": course})
        _write_json(writing.directory / METRICS_FILE, comparison)
    checkpoint.remove()
    return TrainedModel(name, writing.version, store.path(name, writing.version), course, comparison)


def join_training(
    table: EventTable,
    settings: TrainingSettings,
    progress: Progress,
    *,
    work_directory: Path,
    resume: bool,
    together: Together,
) -> None:
    """Learn ``together`` with the process that calls `train_table` with the same arguments."""
    split, _, checkpoint = prepared(table, settings, work_directory)
    Run(settings, split, checkpoint, progress, together).complete(resume=resume)


def prepared(
    table: EventTable, settings: TrainingSettings, work_directory: Path
) -> tuple[Split, Cleaning | None, Checkpoint]:
    """Return the parts of the cleaned ``table``, how it was cleaned, and the checkpoint of its run."""
    split, cleaning = split_settings(table, settings), None
    if settings.cleaning is not None:
        training = split.whole.table
        table, cleaning = clean_table(table, training, settings.cleaning, settings.window_size)
        split = split_settings(table, settings)
    _check_enough(split)
    most = settings.most_measured_events
    split = split._replace(
        validation=sampled_by_user(split.validation, most),
        test=None if split.test is None else sampled_by_user(split.test, most),
    )
    return split, cleaning, Checkpoint(work_directory, run_identity(table, settings))


def split_settings(table: EventTable, settings: TrainingSettings) -> Split:
    """Return the parts of ``table`` that ``settings`` name. Raises `TrainingError` as `split_log` does."""
    test_from = settings.train_until if settings.test_from is None else settings.test_from
    return split_log(
        table,
        train_until=settings.train_until,
        test_from=test_from,
        validation_share=validation_share(table, settings),
        timed=settings.timed,
    )


def validation_share(table: EventTable, settings: TrainingSettings) -> float:
    """Return the share of the training part of ``table`` that says when to stop."""
    if settings.validation_share is not None:
        return settings.validation_share
    least, most = _VALIDATION_SHARE
    if settings.timed:
        return most
    users = settings.train_until * np.count_nonzero(table.starts_user())
    return float(np.clip(_VALIDATION_USERS / max(users, 1), least, most))


def _check_enough(split: Split) -> None:
    """Raise `TrainingError` when there is nothing to learn or to validate."""
    fitted, validated = len(split.fitting.table), int(np.count_nonzero(split.validation.scored))
    if fitted < LEAST_EVENTS or not validated:
        raise TrainingError(
            f"the training part holds {fitted} events to learn and {validated} to validate, and at least "
            f"{LEAST_EVENTS} and 1 are needed: give a longer log, or train until a later share of its time"
        )


def _write_json(path: Path, content: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1))


def run_identity(table: EventTable, settings: TrainingSettings) -> str:
    """Return a digest of all that decides a run."""
    digest = xxhash.xxh3_128(msgspec.json.encode(settings))
    for column in (table.rows, table.user):
        for some in stretches(column):
            digest.update(some.tobytes())
    return digest.hexdigest()
