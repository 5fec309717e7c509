"""Runs what foreclick is measured against, each in its own virtual environment, over the same events."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import redis

from benchmarks.support.brokers import delete_topic, make_topic
from benchmarks.support.child import REPOSITORY, Child
from benchmarks.support.reader import Reading, read_predictions
from foreclick.settings import Settings

ENVIRONMENTS = REPOSITORY / ".bench"
NAIVE = "the naive way"
FAUST = "stock Faust"
QUIX = "Quix Streams"
QUIX_PLAIN = "Quix Streams, no model"
BYTEWAX = "Bytewax"
BYTEWAX_PLAIN = "Bytewax, no model"
LIMIT = "librdkafka alone"
_numbers = count()


@dataclass(frozen=True)
class Competitor:
    """``environment`` is a directory of `.bench`, or nothing for foreclick's own.

    ``most_events`` are scored at most: who is slow is measured on fewer.
    """

    name: str
    module: str
    how: str
    environment: str = ""
    most_events: int = 10**9

    @property
    def python(self) -> Path:
        return (
            ENVIRONMENTS / self.environment / "bin" / "python" if self.environment else Path(sys.executable)
        )


COMPETITORS = (
    Competitor(NAIVE, "on_faust", "naive", most_events=500),
    Competitor(FAUST, "on_faust", "redis", most_events=80_000),
    Competitor(QUIX, "on_quix", "model", "quix"),
    Competitor(QUIX_PLAIN, "on_quix", "plain", "quix"),
    Competitor(BYTEWAX, "on_bytewax", "model", "bytewax"),
    Competitor(BYTEWAX_PLAIN, "on_bytewax", "plain", "bytewax"),
    Competitor(LIMIT, "on_librdkafka", "limit"),
)


@dataclass(frozen=True)
class CompetitorRun:
    """One run of a competitor. CPU is of its process, threads and children from the first record on."""

    reading: Reading
    cpu_us_per_event: float

    @property
    def events_per_s(self) -> float:
        return self.reading.records_per_s


def uncounted(events: int) -> int:
    """Return how many of ``events`` no clock runs over: the first half, which fills the windows."""
    return events // 2


def absent(competitors: Sequence[Competitor]) -> list[str]:
    """Return the names of those whose environment is not there."""
    return [one.name for one in competitors if not one.python.exists()]


def versions() -> dict[str, str]:
    """Return the versions of the packages that the competitors stand on, by environment and package."""
    code = (
        "import importlib.metadata as m, sys\n"
        "for d in sorted(m.distributions(), key=lambda d: d.name): print(d.name.lower() + '==' + d.version)"
    )
    wanted = {"quixstreams", "bytewax", "confluent-kafka", "numpy", "faiss-cpu", "orjson"}
    found = {}
    for name in sorted({one.environment for one in COMPETITORS if one.environment and one.python.exists()}):
        python = ENVIRONMENTS / name / "bin" / "python"
        lines = subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True).stdout
        for line in lines.split():
            package, _, version = line.partition("==")
            if package in wanted:
                found[f"{name}: {package}"] = version
    return found


def run_competitor(
    competitor: Competitor, settings: Settings, events: int, artifact: Path, record_bytes: int, scratch: Path
) -> CompetitorRun:
    """Let ``competitor`` score the events topic into a topic of its own until ``events`` are through.

    Raises `ChildDied` with its last words when it ends by itself.
    """
    _forget_windows(settings)
    out_topic = f"benchmark.out-{next(_numbers)}"  # which also names the consumer group
    make_topic(settings.kafka, out_topic, settings.partitions)
    said = str(record_bytes) if competitor.how == "limit" else str(artifact)
    arguments = [settings.kafka, settings.events_topic, out_topic, said, competitor.how]
    if competitor.how == "redis":
        arguments.append(settings.redis)
    command = [str(competitor.python), "-m", f"benchmarks.competitors.{competitor.module}", *arguments]
    log = scratch / f"{competitor.module}-{competitor.how}.log"
    try:
        with Child(command, log, competitor_environment(), scratch) as child:
            before_s: list[float] = []
            reading = read_predictions(
                settings.kafka,
                out_topic,
                events,
                uncounted=uncounted(events),
                at_start=lambda: before_s.append(child.cpu_s()),
                while_idle=child.check,
            )
            spent_s = child.cpu_s() - before_s[0]
    finally:
        delete_topic(settings.kafka, out_topic)
    return CompetitorRun(reading, spent_s * 1e6 / reading.behind_first)


def competitor_environment() -> dict[str, str]:
    """Return the environment of a competitor: our sources on its path, and one thread for a matrix product.

    More threads only fight for the cores that Kafka needs; foreclick sets the same for itself.
    """
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FORECLICK_")}
    return {**kept, **threads, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}


def _forget_windows(settings: Settings) -> None:
    """Remove the windows that an earlier round of stock Faust has left in Redis."""
    client = redis.Redis.from_url(settings.redis)
    keys = list(client.scan_iter("stock:*", count=10_000))
    for start in range(0, len(keys), 10_000):
        client.unlink(*keys[start : start + 10_000])
    client.close()
