"""What `foreclick train` does: read, train, publish, show."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.table import Table

from foreclick.progress import Update, shown_progress
from foreclick.quiet import importing_tensorflow
from producers.readers import LineCount, ReadEvent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from foreclick.log_options import LogSource
    from foreclick.settings import Settings
    from model_store.checkpoint import EpochReport
    from model_store.evaluation import Scores
    from model_store.sequences import EventTable
    from model_store.training_settings import TrainingSettings


@dataclass(frozen=True)
class TrainingJob:
    """One call of the command. ``work_directory`` holds the checkpoint; None is a place in the store."""

    training: TrainingSettings
    work_directory: Path | None
    resume: bool
    promote: bool


def run_training(source: LogSource, settings: Settings, job: TrainingJob) -> None:
    """Train on ``source`` and publish the model. Raises ProducerError and ModelStoreError."""
    from model_store.artifacts import ModelStore

    with importing_tensorflow():  # it takes seconds
        from model_store.training import train_table

    console = Console()
    table = _read(source, console)
    store = ModelStore(settings.model_store)
    work_directory = job.work_directory or settings.model_store / ".training" / settings.model_name
    with TrainingView(console) as view:
        trained = train_table(
            table,
            job.training,
            store,
            settings.model_name,
            view,
            work_directory=work_directory,
            resume=job.resume,
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


def _read(source: LogSource, console: Console) -> EventTable:
    """Return the log's events, and say how many lines held none."""
    from model_store.sequences import EventTable

    count = LineCount()
    size_bytes = source.path.stat().st_size if source.path.is_file() else 0
    with shown_progress("reading", size_bytes, console) as update:
        lines = count.count(source.read(lambda done_bytes: update(done_bytes, f"{count.events:,} events")))
        table = EventTable.from_events(line.event for line in lines if isinstance(line, ReadEvent))
    console.print(f"{count.lines:,} lines, {count.events:,} events")
    for reason, lines_rejected in count.rejected.most_common():
        console.print(f"  rejected {reason}: {lines_rejected:,}")
    return table


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
        self._update(epoch - 1 + share_done, f"epoch {epoch} of at most {most_epochs}")

    def epoch(self, report: EpochReport) -> None:
        """Print the epoch's line."""
        self._console.print(str(report), markup=False, highlight=False, soft_wrap=True)


def comparison_table(scores: Mapping[str, Scores]) -> Table:
    """Return the measures of each predictor, a row each."""
    table = Table("", "next action: accuracy", "log loss", "next item: recall@20")
    for name, measured in scores.items():
        table.add_row(
            name,
            _shown(measured.next_action_accuracy),
            _shown(measured.next_action_log_loss),
            _shown(measured.next_item_recall_at_20),
        )
    return table


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _ignore(_done: float, _note: str) -> None:
    """Stand for the bar before the first stage."""
