"""The real worker over the whole events topic, timed by the independent reader."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.support.brokers import empty_topic, wait_for_group
from benchmarks.support.child import Child
from benchmarks.support.reader import Reading, nothing, read_predictions
from foreclick.demo.worker_process import worker_environment
from foreclick.settings import Settings

HELD_SESSION_TIMEOUT_MS = 120_000


@dataclass(frozen=True)
class ScoringRun:
    """One run. CPU is that of all workers from the first prediction on; start-up counts nowhere."""

    reading: Reading
    cpu_us_per_event: float
    rss_bytes: int

    @property
    def events_per_s(self) -> float:
        return self.reading.records_per_s


def round_settings(settings: Settings, name: str) -> Settings:
    """Return ``settings`` with a consumer group and Redis keys that no other run has; the topics stay."""
    return replace(settings, consumer_group=name, redis_prefix=name)


def worker(settings: Settings, log: Path, *options: str) -> Child:
    """Return a `foreclick worker` with exactly ``settings``, to be started as a context manager."""
    command = [sys.executable, "-m", "foreclick", "worker", *options]
    return Child(command, log, worker_environment(settings, os.environ))


def run_workers(
    settings: Settings,
    events: int,
    scratch: Path,
    workers: int = 1,
    *,
    uncounted: int = 0,
    publish: Callable[[], None] | None = None,
    moment: Callable[[], None] = nothing,
) -> ScoringRun:
    """Score the first ``events`` of the events topic with fresh workers, into an emptied predictions topic.

    With ``publish`` the topic is empty at first. It is filled once all workers own partitions, while they are
    held, so that several start on the backlog together. The clock leaves the first ``uncounted`` predictions
    out. ``moment`` is called at the first prediction and at the last.
    """
    empty_topic(settings.kafka, settings.predictions_topic, settings.partitions)
    with ExitStack() as stack:
        logs = [scratch / f"{settings.consumer_group}-{number}.log" for number in range(workers)]
        children = [stack.enter_context(worker(settings, log)) for log in logs]
        if publish is not None:
            _fill_for_all(settings, children, publish)
        before_s: list[float] = []

        def at_start() -> None:
            before_s.extend(child.cpu_s() for child in children)
            moment()

        reading = read_predictions(
            settings.kafka,
            settings.predictions_topic,
            events,
            uncounted=uncounted,
            at_start=at_start,
            while_idle=lambda: _check(children),
        )
        spent_s = sum(child.cpu_s() for child in children) - sum(before_s)
        moment()
        rss_bytes = sum(child.rss_bytes() for child in children)
    return ScoringRun(reading, spent_s * 1e6 / reading.behind_first, rss_bytes)


def held_settings(settings: Settings) -> Settings:
    """Return ``settings`` under which a worker that is held for a while does not lose its partitions."""
    return replace(settings, session_timeout_ms=HELD_SESSION_TIMEOUT_MS)


def profiled(settings: Settings, events: int, scratch: Path) -> dict[str, float]:
    """Return the microseconds of CPU that each step takes per event, as `worker --profile` prints them."""
    empty_topic(settings.kafka, settings.predictions_topic, settings.partitions)
    with worker(settings, scratch / f"{settings.consumer_group}.log", "--profile") as child:
        read_predictions(
            settings.kafka, settings.predictions_topic, events, while_idle=lambda: _check([child])
        )
        child.stop()
        lines = [line for line in child.said() if line.startswith("{")]
    steps: dict[str, float] = json.loads(lines[-1])["us_per_event"]
    return steps


def _fill_for_all(settings: Settings, children: Sequence[Child], publish: Callable[[], None]) -> None:
    wait_for_group(
        settings.kafka,
        settings.consumer_group,
        settings.events_topic,
        settings.partitions,
        len(children),
        lambda: _check(children),
    )
    for child in children:
        os.kill(child.pid, signal.SIGSTOP)
    try:
        publish()
    finally:
        for child in children:
            os.kill(child.pid, signal.SIGCONT)


def _check(children: Sequence[Child]) -> None:
    for child in children:
        child.check()
