"""What `foreclick evaluate` does: read, ask the served model and the plain predictors, write the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from foreclick.errors import EvaluationError
from foreclick.evaluation_view import HTML_FILE, write_report
from foreclick.measure_text import measure_text
from foreclick.progress import shown_progress
from foreclick.quiet import importing_tensorflow
from producers.readers import LineCount, ReadEvent

if TYPE_CHECKING:
    from pathlib import Path

    from foreclick.log_options import LogSource
    from foreclick.settings import Settings
    from model_store.evaluating.naive_answers import NaivePredictor
    from model_store.evaluating.report import Evaluation, EvaluationReport
    from model_store.evaluating.truth import EvaluationParts
    from model_store.sequences import EventTable

NAIVE: Final = "naive_example"
_TWO_DAYS_MS: Final = 2 * 86_400_000


@dataclass(frozen=True)
class EvaluationJob:
    """One call of the command. ``model`` is ``MODEL`` or ``MODEL/VERSION``; None is the one that serves."""

    model: str | None
    train_until: float
    test_from: float
    out: Path
    naive_epochs: int


def run_evaluation(source: LogSource, settings: Settings, job: EvaluationJob) -> None:
    """Write the report of ``job``, and print its summary. Raises ModelStoreError and EvaluationError."""
    from model_store.artifacts import ModelStore
    from model_store.evaluating.report import Evaluation
    from model_store.evaluating.truth import evaluation_parts
    from model_store.serving import load_served_model

    if not 0 < job.train_until <= job.test_from < 1:
        raise EvaluationError("the parts must ascend: 0 < --train-until <= --test-from < 1")
    store = ModelStore(settings.model_store)
    name, _, version = (job.model or settings.model_name).partition("/")
    version = version or store.resolve(name, settings.model_alias)
    model = load_served_model(store, name, version)
    parts = evaluation_parts(
        table_of(source), train_until=job.train_until, test_from=job.test_from, timed=source.timed
    )
    evaluation = Evaluation(parts, window_size=model.window_size, daily=daily_in(parts))
    require_rows(evaluation)
    extra = {NAIVE: naive_predictor(evaluation, job.naive_epochs)} if job.naive_epochs else {}
    with stages_shown() as stage:
        report = evaluation.report(model, stage, extra)
    title = f"{source.path.name}, {name} {version}"
    try:
        write_report(job.out, report, title)
    except OSError as error:
        raise EvaluationError(f"cannot write {job.out}: {error}; name another place with --out") from error
    Console().print(summary(report))
    typer.echo(f"{job.out / HTML_FILE}")


def require_rows(evaluation: Evaluation) -> None:
    """Raise EvaluationError unless there is something to learn and something to measure."""
    if not len(evaluation.training) or not len(evaluation.test.truth):
        raise EvaluationError(
            f"the log has {len(evaluation.training):,} events to learn and {len(evaluation.test.truth):,} to "
            "measure: give a longer log, or other shares of its time"
        )


def naive_predictor(evaluation: Evaluation, epochs: int) -> NaivePredictor:
    """Train the naive example on the log up to the test part, and return what answers by it."""
    from model_store.baselines.behavior import Behavior
    from model_store.evaluating.naive_answers import NaivePredictor

    with importing_tensorflow():
        from model_store.baselines.naive import train_naive_example

    with shown_progress("naive example", epochs) as update:
        example = train_naive_example(
            Behavior.of(evaluation.parts.known.table),
            lambda epoch, accuracy: update(epoch, f"accuracy on its last fifth {accuracy:.3f}"),
            epochs=epochs,
        )
    return NaivePredictor(example, evaluation.parts.training, evaluation.training)


@contextmanager
def stages_shown(console: Console | None = None) -> Iterator[Callable[[str], Callable[[float], None]]]:
    """Give a function that begins a stage by its name, ends the one before, and gives its progress."""
    with ExitStack() as stack:

        def begin(name: str) -> Callable[[float], None]:
            stack.close()
            update = stack.enter_context(shown_progress(name, 1.0, console))
            return lambda share: update(share, "")

        yield begin


def daily_in(parts: EvaluationParts) -> bool:
    """Tell whether the training part has seen two days, so that the hour names more than a moment."""
    times_ms = parts.training.table.times_ms
    return bool(len(times_ms)) and int(np.ptp(times_ms)) >= _TWO_DAYS_MS


def table_of(source: LogSource) -> EventTable:
    """Return the log's events, showing how far the reading is. Says on standard error what was rejected."""
    from model_store.sequences import EventTable

    count = LineCount()
    size_bytes = source.path.stat().st_size if source.path.is_file() else 0
    with shown_progress("reading", size_bytes) as update:
        lines = count.count(source.read(lambda done_bytes: update(done_bytes, f"{count.events:,} events")))
        table = EventTable.from_events(line.event for line in lines if isinstance(line, ReadEvent))
    rejected = sum(count.rejected.values())
    typer.echo(f"{count.events:,} events, {rejected:,} lines rejected", err=True)
    return table


def summary(report: EvaluationReport) -> Table:
    """Return a few measures of each predictor as a table for a terminal."""
    table = Table("", "macro F1", "accuracy", "log loss", "purchase next, PR-AUC", "in session", "recall@20")
    for name, each in report.predictors.items():
        actions, items = each.next_action, each.next_items
        table.add_row(
            name,
            measure_text(getattr(actions, "macro_f1", None)),
            measure_text(getattr(actions, "accuracy", None)),
            measure_text(getattr(actions, "log_loss", None)),
            measure_text(getattr(each.purchase_next, "pr_auc", None)),
            measure_text(getattr(each.purchase_in_session, "pr_auc", None)),
            measure_text(items.recall["20"] if items is not None and items.recall else None),
        )
    return table
