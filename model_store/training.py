"""Training, from a log to a version in the model store.

A run first searches: it learns the fitting part until the validation part no longer gains. Then, so that
the newest events and items are not lost on the model, it refits: a fresh network learns the whole
training part for the epochs, and at the rates, that the search found best. The test part is never read.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import xxhash

from model_store.batches import Samples
from model_store.checkpoint import Checkpoint, Course
from model_store.chunks import stretches
from model_store.churn.fitting import fit_churn
from model_store.cleaning.tables import clean_table
from model_store.companion_fit import fit_companion
from model_store.distribution import ALONE
from model_store.encoder import Encoder
from model_store.errors import TrainingError
from model_store.evaluating.served import served_action_scores
from model_store.evaluation import MODEL, Scores, baseline_scores, rows_of_part
from model_store.export import SEARCHED_DIRECTORY, Stage, export
from model_store.parts import Split, sampled_by_user, split_log
from model_store.run import Progress, Run
from model_store.sequences import EventTable
from model_store.serving import served_model_in
from model_store.session_purchase_fit import fit_session_purchase
from model_store.specification import METRICS_FILE, TRAINING_FILE
from model_store.training_settings import TrainingSettings
from model_store.validation import score

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from model_store.artifacts import ModelStore
    from model_store.churn.cutoffs import ChurnScores
    from model_store.cleaning.pipeline import Cleaning
    from model_store.distribution import Together
    from model_store.parts import Part
    from producers.events import Event

LEAST_EVENTS: Final = 20
_VALIDATION_SHARE: Final = (0.02, 0.15)
_VALIDATION_USERS: Final = 4_000


@dataclass(frozen=True)
class Comparison:
    """Measures by predictor, the network's under `evaluation.MODEL` beside the baselines'.

    On ``validation`` the network and the baselines have learned the fitting part only; on ``test``, which
    is None where the log has no such part, the whole training part. ``churn`` are the measures of the
    hazard on the validation part, as the network gives it and corrected.
    """

    validation: dict[str, Scores]
    test: dict[str, Scores] | None
    churn: dict[str, ChurnScores | None] | None = None


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
    comparison = _compared(split, course, stage, settings.most_baseline_events)
    stage.encoder.cleaning = cleaning  # the table that it was fitted on is repaired already
    with store.writing(name) as writing:
        export(writing.directory, stage)
        if settings.refit and checkpoint.searched.is_dir():
            shutil.copytree(checkpoint.searched, writing.directory / SEARCHED_DIRECTORY)
        comparison = _with_companion(writing.directory, split, comparison, refit=settings.refit)
        _add_session_purchase(writing.directory, sampled_by_user(split.whole, settings.most_measured_events))
        comparison = replace(comparison, churn=_add_churn(writing.directory, split, refit=settings.refit))
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


def _compared(split: Split, course: Course, stage: Stage, most_baseline_events: int) -> Comparison:
    """Return the measures of the network beside the baselines', each pair on the same events."""
    validation = baseline_scores(sampled_by_user(split.fitting, most_baseline_events), split.validation)
    if course.scores is not None:
        validation = {MODEL: course.scores, **validation}
    test = None
    if split.test is not None:
        samples = Samples.of(split.test, stage.encoder, stage.learner.specification)
        measured = score(stage.learner, samples, rows_of_part(split.test))
        learned = sampled_by_user(split.whole, most_baseline_events)
        test = {MODEL: measured, **baseline_scores(learned, split.test)}
    return Comparison(validation, test)


def _with_companion(directory: Path, split: Split, comparison: Comparison, *, refit: bool) -> Comparison:
    """Fit the companion, weighed by a network that has not learned the validation part.

    Return the measures with those of the next action as the pool says it, which is what is served.
    """
    before = directory / SEARCHED_DIRECTORY if refit else directory
    if not before.is_dir():
        return comparison
    whole = split.whole if refit else split.fitting
    searched, encoder = served_model_in(before, "", ""), Encoder.load(directory)
    fitted = fit_companion(searched, split.fitting, split.validation, encoder, whole)
    if fitted is None:
        return comparison
    fitted.searched.save(before)
    fitted.published.save(directory)
    validation = _as_served(before, split.validation, comparison.validation)
    test = comparison.test
    if split.test is not None and test is not None:
        test = _as_served(directory, split.test, test)
    return replace(comparison, validation=validation, test=test)


def _as_served(directory: Path, part: Part, scores: dict[str, Scores]) -> dict[str, Scores]:
    """Return ``scores`` with the next action's measures of the model in ``directory`` as it serves."""
    accuracy, log_loss = served_action_scores(served_model_in(directory, "", ""), part)
    said = msgspec.structs.replace(
        scores[MODEL], next_action_accuracy=accuracy, next_action_log_loss=log_loss
    )
    return {**scores, MODEL: said}


def _add_session_purchase(directory: Path, training: Part) -> None:
    """Fit the purchase in the session on what the model in ``directory`` will say when served."""
    fitted = fit_session_purchase(served_model_in(directory, "", ""), training)
    if fitted is not None:
        fitted.save(directory)


def _add_churn(directory: Path, split: Split, *, refit: bool) -> dict[str, ChurnScores | None] | None:
    """Fit the hazard's correction by a network that has not learned the validation part; return its worth.

    After a refit that is the searched one, which a model that is not recurrent does not keep.
    """
    before = directory / SEARCHED_DIRECTORY if refit else directory
    if not before.is_dir():
        return None
    fitted = fit_churn(served_model_in(before, "", ""), split.fitting, split.validation, split.whole)
    if fitted is None:
        return None
    if fitted.correction is not None:
        fitted.correction.save(directory)
    return fitted.scores


def _write_json(path: Path, content: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1))


def run_identity(table: EventTable, settings: TrainingSettings) -> str:
    """Return a digest of all that decides a run."""
    digest = xxhash.xxh3_128(msgspec.json.encode(settings))
    for column in (table.rows, table.user):
        for some in stretches(column):
            digest.update(some.tobytes())
    return digest.hexdigest()
