"""What `foreclick train` does: read, train, publish, show."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from shutil import rmtree
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.table import Table

from foreclick.errors import ForeclickError
from foreclick.measure_text import measure_text
from foreclick.progress import Update, shown_progress
from foreclick.quiet import importing_tensorflow
from producers.readers import LineCount, ReadEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from foreclick.log_options import LogSource
    from foreclick.settings import Settings
    from model_store.checkpoint import EpochReport
    from model_store.distribution import Together
    from model_store.evaluation import Scores
    from model_store.tables import StoredTable
    from model_store.training_settings import TrainingSettings


@dataclass(frozen=True)
class TrainingJob:
    """One call of the command. ``work_directory`` holds the checkpoint; None is a place in the store."""

    training: TrainingSettings
    work_directory: Path | None
    resume: bool
    promote: bool
    processes: int = 1


def run_training(source: LogSource, settings: Settings, job: TrainingJob) -> None:
    """Train on ``source`` and publish the model. Raises ProducerError, ModelStoreError and ForeclickError.

    The log's events are kept on disk meanwhile, in the work directory.
    """
    from model_store.artifacts import ModelStore

    with importing_tensorflow():  # it takes seconds
        from model_store.distribution import ALONE
        from model_store.process_group import process_group
        from model_store.training import train_table

    console = Console()
    store = ModelStore(settings.model_store)
    work_directory = job.work_directory or settings.model_store / ".training" / settings.model_name
    with ExitStack() as stack:
        table = stack.enter_context(stored_events(source, work_directory / ".event-table", console))
        _say_what_is_measured(len(table), job.training, console)
        together: Together = ALONE
        if job.processes > 1:
            together = stack.enter_context(
                process_group(
                    job.processes, table, job.training, work_directory, resume=job.resume, died=_end
                )
            )
        view = stack.enter_context(TrainingView(console))
        trained = train_table(
            table,
            job.training,
            store,
            settings.model_name,
            view,
            work_directory=work_directory,
            resume=job.resume,
            together=together,
        )
    if trained.comparison.test is None:
        console.print("On the validation part, by a network that had not learned it:")
    else:
        console.print("On the test part:")
    console.print(comparison_table(trained.comparison.test or trained.comparison.validation))
    if job.promote:
        store.promote(trained.name, trained.version, settings.model_alias)
    state = f"now its {settings.model_alias}" if job.promote else "not promoted"
    console.print(f"{trained.name} {trained.version}, {state}: {trained.directory}", soft_wrap=True)


@contextmanager
def stored_events(source: LogSource, directory: Path, console: Console) -> Iterator[StoredTable]:
    """Keep the log's events in ``directory`` while the context lasts, and say how many lines held none.

    Raises ProducerError where the log cannot be read, and `ForeclickError` where the disk has no room.
    """
    try:
        yield _stored(source, directory, console)
    finally:
        rmtree(directory, ignore_errors=True)


def _stored(source: LogSource, directory: Path, console: Console) -> StoredTable:
    from model_store.tables import build_table

    count = LineCount()
    size_bytes = source.path.stat().st_size if source.path.is_file() else 0
    try:
        with shown_progress("reading", size_bytes, console) as update:
            lines = count.count(
                source.read(lambda done_bytes: update(done_bytes, f"{count.events:,} events"))
            )
            table = build_table((line.event for line in lines if isinstance(line, ReadEvent)), directory)
    except OSError as error:
        raise ForeclickError(
            f"cannot keep the log's events in {directory}: {error.strerror or error}; "
            "make room there, or name another --work-directory"
        ) from error
    console.print(f"{count.lines:,} lines, {count.events:,} events")
    for reason, lines_rejected in count.rejected.most_common():
        console.print(f"  rejected {reason}: {lines_rejected:,}")
    return table


def _say_what_is_measured(events: int, training: TrainingSettings, console: Console) -> None:
    if events > training.most_measured_events:
        console.print(
            f"at most {training.most_measured_events:,} events of a part are measured, of users drawn at "
            f"random, and the baselines learn from {training.most_baseline_events:,} at most"
        )


def _end(why: str) -> None:
    """End this process at once: it may wait for another one for ever."""
    print(why, file=sys.stderr, flush=True)
    os._exit(1)


class TrainingView:
    """Shows how training goes on: a bar for each stage, and a line for each epoch."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stack = ExitStack()
        self._stage = ""
        self._update: Update = _ignore

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def batch(self, stage: str, epoch: int, most_epochs: int, share_done: float) -> None:
        """Move the stage's bar on."""
        if stage != self._stage:
            self._stack.close()
            self._update = self._stack.enter_context(shown_progress(stage, most_epochs, self._console))
            self._stage = stage
        note = f"epoch {epoch} of at most {most_epochs}" if most_epochs > 1 else ""
        self._update(epoch - 1 + share_done, note)

    def epoch(self, report: EpochReport) -> None:
        """Print the epoch's line."""
        self._console.print(str(report), markup=False, highlight=False, soft_wrap=True)


def comparison_table(scores: Mapping[str, Scores]) -> Table:
    """Return the measures of each predictor, a row each."""
    table = Table("", "next action: accuracy", "log loss", "next item: recall@20")
    for name, measured in scores.items():
        table.add_row(
            name,
            measure_text(measured.next_action_accuracy),
            measure_text(measured.next_action_log_loss),
            measure_text(measured.next_item_recall_at_20),
        )
    return table


def _ignore(_done: float, _note: str) -> None:
    """Stand for the bar before the first stage."""
