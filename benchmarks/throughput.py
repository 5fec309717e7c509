"""How many events a second the whole path scores, beside stock Faust that does nothing with them.

The topic is filled first. Then each round runs, in turn, the real worker (Kafka → windows in Redis → GRU →
next items → Kafka) and a stock Faust agent that only counts. The worker's clock runs from the first fetch of
an independent reader to the one that brings the last prediction, and leaves the first fetch's records out.
Kafka, Valkey, the worker and the reader share the machine's cores.

    python -m benchmarks.throughput
    python -m benchmarks.throughput --events 100000 --rounds 1
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from benchmarks.support.artifact import write_model
from benchmarks.support.machine import machine
from benchmarks.support.reader import Reading, read_predictions
from benchmarks.support.workload import Workload, publish
from foreclick.demo.worker_process import worker_environment
from foreclick.services import local_services
from foreclick.settings import Settings
from foreclick.topics import create_topics

STOP_TIMEOUT_S = 30.0
STOCK_EVENTS = 60_000


@dataclass(frozen=True)
class Round:
    """One run of the worker over the whole topic."""

    reading: Reading
    cpu_us_per_event: float
    steps_us_per_event: dict[str, float]
    rss_bytes: int


def main() -> None:
    """Measure, show a table, and print one JSON line."""
    arguments = _arguments()
    workload = Workload(arguments.events, arguments.users, arguments.items)
    with tempfile.TemporaryDirectory() as directory, local_services() as services:
        root = Path(directory)
        version = write_model(root, workload, units=arguments.units, window_size=arguments.window)
        settings = Settings(kafka=services.kafka, redis=services.redis_url, model_store=root)
        create_topics(settings)
        publish(workload, services.kafka, settings.events_topic)
        rounds, stock = [], []
        for number in range(arguments.rounds):
            rounds.append(_worker_round(settings, workload, number))
            stock.append(_stock_round(settings))
            _show(number, rounds[-1], stock[-1])
    print(json.dumps(_summary(arguments, version, rounds, stock)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--window", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _worker_round(settings: Settings, workload: Workload, number: int) -> Round:
    """Run a worker with its own group, states and predictions over the same events."""
    # The events topic stays; all that a worker leaves behind is new in each round.
    own = replace(settings, consumer_group=f"throughput-{number}", redis_prefix=f"throughput-{number}")
    _fresh_predictions(own)
    worker = subprocess.Popen(
        [sys.executable, "-m", "foreclick", "worker", "--profile"],
        env=worker_environment(own, os.environ),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        reading = read_predictions(settings.kafka, settings.predictions_topic, workload.events)
        process = psutil.Process(worker.pid)
        spent, rss_bytes = process.cpu_times(), process.memory_info().rss
    finally:
        worker.terminate()
        said, _ = worker.communicate(timeout=STOP_TIMEOUT_S)
    cpu_us = (spent.user + spent.system) * 1e6 / workload.events
    steps = json.loads(said.strip().splitlines()[-1])["us_per_event"]
    return Round(reading, cpu_us, steps, rss_bytes)


def _fresh_predictions(settings: Settings) -> None:
    """Empty the predictions topic, so that each round's reader starts from nothing."""
    admin = AdminClient({"bootstrap.servers": settings.kafka})
    places = [TopicPartition(settings.predictions_topic, n) for n in range(settings.partitions)]
    newest = OffsetSpec.latest()
    ends = admin.list_offsets(dict.fromkeys(places, newest))
    reached = [TopicPartition(p.topic, p.partition, end.result().offset) for p, end in ends.items()]
    for done in admin.delete_records([place for place in reached if place.offset > 0]).values():
        done.result()


def _stock_round(settings: Settings) -> float:
    """Return the events/s of stock Faust doing nothing."""
    command = [sys.executable, "-m", "benchmarks.support.stock_faust"]
    said = subprocess.run(
        [*command, settings.kafka, settings.events_topic, str(STOCK_EVENTS)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return float(said.strip().splitlines()[-1])


def _show(number: int, ours: Round, stock_events_per_s: float) -> None:
    rate = ours.reading.records_per_s
    print(
        f"round {number}: ours {rate:,.0f} events/s, {ours.cpu_us_per_event:.1f} us of CPU an event;"
        f" stock Faust doing nothing {stock_events_per_s:,.0f} events/s",
        flush=True,
    )


def _summary(
    arguments: argparse.Namespace, version: str, rounds: list[Round], stock: list[float]
) -> dict[str, Any]:
    rates = [one.reading.records_per_s for one in rounds]
    ratios = [ours / theirs for ours, theirs in zip(rates, stock, strict=True)]
    return {
        "events_per_s": round(statistics.median(rates)),
        "spread": {"events_per_s": _spread(rates), "times_stock_faust": _spread(ratios)},
        "cpu_us_per_event": round(statistics.median(one.cpu_us_per_event for one in rounds), 1),
        "steps_us_per_event": rounds[-1].steps_us_per_event,
        "competitors": {"stock Faust doing nothing": round(statistics.median(stock))},
        "times_stock_faust": round(statistics.median(ratios), 2),
        "missing": sum(arguments.events - one.reading.distinct for one in rounds),
        "republished": sum(one.reading.records - one.reading.distinct for one in rounds),
        "worker_rss_bytes": max(one.rss_bytes for one in rounds),
        "workload": vars(arguments),
        "model": version,
        "machine": machine(),
    }


def _spread(values: list[float]) -> list[float]:
    return [round(min(values), 2), round(max(values), 2)]


if __name__ == "__main__":
    main()
