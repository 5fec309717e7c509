"""The real worker over the whole events topic, timed by the independent reader."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.support.brokers import empty_topic, wait_for_group
from benchmarks.support.child import Child
from benchmarks.support.reader import Reading, read_predictions
from foreclick.demo.worker_process import worker_environment
from foreclick.settings import Settings


@dataclass(frozen=True)
class ScoringRun:
    """One run. CPU is that of all workers while the clock ran; start-up counts nowhere."""

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


def run_workers(settings: Settings, events: int, scratch: Path, workers: int = 1) -> ScoringRun:
    """Score the first ``events`` of the events topic with fresh workers, into an emptied predictions topic.

    With more than one, the clock starts when all of them own partitions.
    """
    empty_topic(settings.kafka, settings.predictions_topic, settings.partitions)
    with ExitStack() as stack:
        logs = [scratch / f"{settings.consumer_group}-{number}.log" for number in range(workers)]
        children = [stack.enter_context(worker(settings, log)) for log in logs]
        everyone = threading.Event()
        if workers == 1:
            everyone.set()
        else:
            waiting = (settings, children, everyone)
            threading.Thread(target=_wait_for_everyone, args=waiting, daemon=True).start()
        before_s: list[float] = []
        reading = read_predictions(
            settings.kafka,
            settings.predictions_topic,
            events,
            ready=everyone.is_set,
            at_start=lambda: before_s.extend(child.cpu_s() for child in children),
            while_idle=lambda: _check(children),
        )
        spent_s = sum(child.cpu_s() for child in children) - sum(before_s)
        rss_bytes = sum(child.rss_bytes() for child in children)
    if not before_s:
        raise TimeoutError(f"{events} events were scored before {workers} workers were ready; give more")
    return ScoringRun(reading, spent_s * 1e6 / max(reading.counted, 1), rss_bytes)


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


def _wait_for_everyone(settings: Settings, children: Sequence[Child], everyone: threading.Event) -> None:
    wait_for_group(
        settings.kafka,
        settings.consumer_group,
        settings.events_topic,
        settings.partitions,
        len(children),
        lambda: _check(children),
    )
    everyone.set()


def _check(children: Sequence[Child]) -> None:
    for child in children:
        child.check()
