"""What `foreclick tune` does: read, try settings in one process or several, and write down the best."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from foreclick.errors import ForeclickError
from foreclick.progress import shown_progress
from foreclick.quiet import importing_tensorflow
from foreclick.training_job import stored_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from foreclick.log_options import LogSource
    from model_store.training_settings import TrainingSettings
    from model_store.tuning import Tuned

_BETWEEN_LOOKS_S: Final = 1.0
_END_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class TuningJob:
    """One call of the command. ``storage`` keeps the trials, ``out`` gets the best settings."""

    defaults: TrainingSettings
    trials: int
    jobs: int
    storage: Path
    out: Path
    resume: bool


def run_tuning(source: LogSource, job: TuningJob) -> None:
    """Run the trials and write the best settings. Raises ProducerError, ModelStoreError and ForeclickError.

    After Ctrl-C, what has been found by then is written as well.
    """
    if job.storage.exists() and not job.resume:
        raise ForeclickError(f"{job.storage} holds trials: go on with --resume, or name another --storage")
    with importing_tensorflow():  # it takes seconds
        from model_store.tuning import Search, settings_text

    console = Console()
    with (
        tempfile.TemporaryDirectory(prefix="foreclick-tune-") as directory,
        stored_events(source, Path(directory) / "table", console) as table,
    ):
        search = Search(table, job.defaults, job.storage, Path(directory))
        search.begin()
        interrupted = False
        try:
            if job.jobs == 1:
                with shown_progress("tuning", job.trials, console) as update:
                    search.take_part(
                        job.trials, lambda ended, share, note: update(min(ended + share, job.trials), note)
                    )
            else:
                _side_by_side(search.ended, table.directory, job, Path(directory), console)
        except KeyboardInterrupt:
            interrupted = True
        tuned = search.tuned()
    if tuned.best_trial is not None:
        job.out.write_text(settings_text(tuned.found), encoding="utf-8")
    _tell(tuned, job, console)
    if interrupted:
        console.print(f"Interrupted. {job.storage} keeps the trials that had ended: go on with --resume.")
        raise KeyboardInterrupt


def _side_by_side(
    ended: Callable[[], int], table: Path, job: TuningJob, work: Path, console: Console
) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_take_part, args=(table, job, work / str(number)), daemon=True)
        for number in range(job.jobs)
    ]
    try:
        for process in processes:
            process.start()
        with shown_progress("tuning", job.trials, console) as update:
            while any(process.is_alive() for process in processes):
                update(min(ended(), job.trials), f"{ended()} of {job.trials} trials have ended")
                time.sleep(_BETWEEN_LOOKS_S)
    except KeyboardInterrupt:
        for process in processes:
            process.join(_END_TIMEOUT_S)
        raise
    if all(process.exitcode for process in processes):
        raise ForeclickError("every process of the search has failed: see its message above")


def _take_part(table: Path, job: TuningJob, work: Path) -> None:
    """Run trials in a process of its own, until there are enough."""
    with importing_tensorflow():
        from model_store.tables import StoredTable
        from model_store.tuning import Search

    with suppress(KeyboardInterrupt):
        Search(StoredTable.open(table), job.defaults, job.storage, work).take_part(
            job.trials, lambda *_: None
        )


def _tell(tuned: Tuned, job: TuningJob, console: Console) -> None:
    """Say what was found, and plainly so if nothing beats the defaults."""
    console.print(f"{tuned.complete} trials ran to their end, {tuned.pruned} were stopped early.")
    if tuned.default_loss is None or tuned.best_loss is None:
        console.print("The defaults have not been tried to their end yet, so nothing can be said.")
        return
    console.print(f"Loss on the validation part: the defaults {tuned.default_loss:.4f} nats")
    if not tuned.gains:
        console.print(
            f"Nothing beats the defaults by more than 0.2 %: the best, trial {tuned.best_trial}, "
            f"has {tuned.best_loss:.4f}. Keep the defaults."
        )
        return
    gain = 1 - tuned.best_loss / tuned.default_loss
    console.print(
        f"Trial {tuned.best_trial} has {tuned.best_loss:.4f}, {gain:.1%} less. Its settings:\n"
        f"  foreclick train LOG --settings {job.out}"
    )
