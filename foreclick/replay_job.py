"""One run of ``foreclick replay``: look through the log, publish it, and say what became of each line."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import typer

from foreclick.log_options import LogSource
from foreclick.progress import Update, shown_progress
from foreclick.replay_options import ReplayOptions
from foreclick.replay_report import as_json, in_words
from foreclick.settings import Settings, confluent_settings
from foreclick.survey_report import in_words as survey_in_words
from foreclick.survey_report import read_with_progress
from producers.checkpoint import START, Checkpoint, Position, load_checkpoint, save_checkpoint
from producers.clock import Clock, SystemClock
from producers.errors import CheckpointError
from producers.publisher import Publisher
from producers.readers import LogLine
from producers.replay import ReplayPlan, ReplayReport, replay
from producers.selection import Selection
from producers.sorting import sorted_log
from producers.survey import Survey, Surveyor
from producers.timeline import kept_times, times_shifted_to_now

_INTERRUPTED: Final = 130

Read = Callable[[], Iterator[LogLine]]


def run_replay(
    source: LogSource,
    options: ReplayOptions,
    settings: Settings,
    *,
    show_json: bool,
    clock: Clock | None = None,
) -> int:
    """Replay a log and give the exit code: 0 if all was delivered, 130 if stopped by a signal, else 1.

    Raises `ProducerError` where the log, the checkpoint or the brokers stand in the way.
    """
    pacing = options.pacing()
    identity = _identity(source, options)
    saved = _saved(options, identity)
    with ExitStack() as held:
        read = _reader(source, options, held)
        survey, selection = _look_through(read, source, options)
        plan = _plan(survey, selection, options, saved, clock or SystemClock())
        publisher = held.enter_context(
            Publisher(settings.kafka, settings.events_topic, client_settings=confluent_settings(settings))
        )
        stopped = held.enter_context(_stopped_by_signal())
        update = held.enter_context(shown_progress("replaying", survey.lines * options.loops))
        show = _shower(update, plan.start.loop * survey.lines + plan.start.lines)
        save = _saver(options, identity, plan)
        report = replay(read, publisher, pacing, plan, clock=clock, stop=stopped, progress=show, save=save)
        if save is not None and report.all_delivered:
            save(Position(options.loops, 0))
    for text in in_words(report, pacing, resumable=save is not None):
        typer.echo(text, err=show_json)
    if not report.all_delivered and publisher.last_error:
        typer.echo(f"the last word from Kafka: {publisher.last_error}", err=True)
    if show_json:
        typer.echo(json.dumps(as_json(report, pacing)))
    return _INTERRUPTED if stopped() else int(not report.all_delivered)


def _identity(source: LogSource, options: ReplayOptions) -> str:
    """Name everything that decides which events come in which order, so that a checkpoint fits no other."""
    selection = options.selection()
    users = sorted(selection.users) if selection.users is not None else options.users
    chosen = [selection.from_ms, selection.to_ms, users, options.loops, options.sort, options.shift_to_now]
    return hashlib.blake2b(json.dumps([source.identity(), chosen]).encode(), digest_size=16).hexdigest()


def _saved(options: ReplayOptions, identity: str) -> Checkpoint | None:
    """Load the checkpoint to resume from; None is the beginning."""
    path = options.checkpoint
    if path is None:
        if options.resume:
            raise typer.BadParameter("--resume needs the --checkpoint to resume from")
        return None
    if not options.resume:
        if path.exists():
            raise CheckpointError(f"{path} holds a checkpoint; add --resume to go on from it, or remove it")
        return None
    return load_checkpoint(path, identity) if path.exists() else None


def _reader(source: LogSource, options: ReplayOptions, held: ExitStack) -> Read:
    if not options.sort:
        return source.read
    return held.enter_context(sorted_log(read_with_progress(source, "sorting"), options.sort_directory))


def _look_through(read: Read, source: LogSource, options: ReplayOptions) -> tuple[Survey, Selection]:
    """Survey the log, tell what it holds, and choose the users if a sample of them is asked for."""
    sample = options.sample()
    surveyor = Surveyor(
        options.selection(),
        tolerance_ms=options.tolerance_ms,
        gap_limit_ms=options.gap_limit_ms,
        sample=sample,
    )
    survey = surveyor.look(read() if options.sort else read_with_progress(source, "looking through"))
    for text in survey_in_words(survey):
        typer.echo(text, err=True)
    survey.require_order()
    return survey, options.selection(sample)


def _plan(
    survey: Survey, selection: Selection, options: ReplayOptions, saved: Checkpoint | None, clock: Clock
) -> ReplayPlan:
    timeline = kept_times(survey)
    if options.shift_to_now:
        sending_ms = options.sending_ms(survey) * options.loops
        timeline = times_shifted_to_now(survey, options.loops, int(clock.now_ms()), sending_ms)
    return ReplayPlan(
        selection=selection,
        loops=options.loops,
        loop_span_ms=timeline.loop_span_ms,
        shift_ms=timeline.shift_ms if saved is None else saved.shift_ms,
        tolerance_ms=options.tolerance_ms,
        start=START if saved is None else saved.position,
    )


def _saver(options: ReplayOptions, identity: str, plan: ReplayPlan) -> Callable[[Position], None] | None:
    path = options.checkpoint
    if path is None:
        return None
    return lambda place: save_checkpoint(
        path, Checkpoint(replay=identity, shift_ms=plan.shift_ms, position=place)
    )


def _shower(update: Update, lines_before: int) -> Callable[[ReplayReport], None]:
    def show(report: ReplayReport) -> None:
        rate = report.published / report.seconds if report.seconds else 0.0
        update(lines_before + report.lines, f"{report.published:,} published, {rate:,.0f} events/s")

    return show


@contextmanager
def _stopped_by_signal() -> Iterator[Callable[[], bool]]:
    """Let the first SIGINT or SIGTERM end the replay cleanly; a second one does what it always does."""
    received = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(_number: int, _frame: object) -> None:
        nonlocal received
        received = True
        restore()

    for number in before:
        signal.signal(number, stop)
    try:
        yield lambda: received
    finally:
        restore()
