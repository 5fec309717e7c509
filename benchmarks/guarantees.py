"""What the guarantees cost: the same worker over the same events, with them and without.

Without them, the bench's own worker awaits no acks (the producer asks for none, and is not idempotent), and
writes states unguarded and without waiting. The rounds take turns, so that a busy machine slows both alike.
On one, look at the CPU an event, which is the worker's alone.

    python -m benchmarks.guarantees
    python -m benchmarks.guarantees --events 50000 --rounds 1
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from benchmarks.support.artifact import write_model
from benchmarks.support.faults.fleet import Worker
from benchmarks.support.faults.hooks import NO_GUARANTEES
from benchmarks.support.faults.steady import Frontier
from benchmarks.support.machine import machine
from benchmarks.support.workload import Workload, publish
from foreclick.services import local_services
from foreclick.settings import Settings
from foreclick.topics import create_topics

USERS, ITEMS, UNITS, WINDOW = 20_000, 50_000, 64, 20
LEFT_OUT = 0.1  # of the events, while the worker starts and its caches fill
PATIENCE_S = 300.0
LOOK_INTERVAL_S = 0.01


@dataclass(frozen=True)
class Round:
    """One run over all events but the first."""

    events_per_s: float
    cpu_us_per_event: float


def main() -> None:
    """Measure in turns, tell of each, and print one JSON line."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    workload = Workload(arguments.events, USERS, ITEMS)
    rounds: dict[str, list[Round]] = {"with": [], "without": []}
    with tempfile.TemporaryDirectory() as directory, local_services() as services:
        root = Path(directory)
        write_model(root / "models", workload, units=UNITS, window_size=WINDOW)
        settings = Settings(kafka=services.kafka, redis=services.redis_url, model_store=root / "models")
        for number in range(arguments.rounds):
            for which, sabotage in (("with", ""), ("without", NO_GUARANTEES)):
                name = f"{which}-{number}"
                rounds[which].append(_round(settings, name, sabotage, workload, root))
                one = rounds[which][-1]
                cpu = f"{one.cpu_us_per_event:.1f} us of CPU an event"
                print(f"{name}: {one.events_per_s:,.0f} events/s, {cpu}", flush=True)
    print(json.dumps(_summary(arguments, rounds)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _round(settings: Settings, name: str, sabotage: str, workload: Workload, root: Path) -> Round:
    """Fill topics of the round's own, and time a worker over them. Raises TimeoutError without progress."""
    own = replace(settings, topic_prefix=name, consumer_group=name, redis_prefix=name)
    create_topics(own)
    publish(workload, own.kafka, own.events_topic)
    with Frontier(own) as frontier, Worker(own, root / name, sabotage=sabotage) as worker:
        first = _wait(frontier, worker, int(LEFT_OUT * workload.events))
        last = _wait(frontier, worker, workload.events)
    events = last.events - first.events
    return Round(events / (last.at_s - first.at_s), (last.cpu_s - first.cpu_s) * 1e6 / events)


@dataclass(frozen=True)
class _Moment:
    events: int
    at_s: float
    cpu_s: float


def _wait(frontier: Frontier, worker: Worker, wanted: int) -> _Moment:
    """Return the moment at which ``wanted`` events have their prediction."""
    give_up_s = time.monotonic() + PATIENCE_S
    while (reached := sum(frontier.reached.values())) < wanted:
        if time.monotonic() > give_up_s or worker.exits:
            raise TimeoutError(f"{reached} of {wanted} events were scored:\n{worker.last_words()}")
        time.sleep(LOOK_INTERVAL_S)
    spent = psutil.Process(worker.process_id).cpu_times()
    return _Moment(reached, time.monotonic(), spent.user + spent.system)


def _summary(arguments: argparse.Namespace, rounds: dict[str, list[Round]]) -> dict[str, object]:
    rates = {which: statistics.median(one.events_per_s for one in found) for which, found in rounds.items()}
    cpu = {which: statistics.median(one.cpu_us_per_event for one in found) for which, found in rounds.items()}
    return {
        "events_per_s": {which: round(rate) for which, rate in rates.items()},
        "cpu_us_per_event": {which: round(spent, 1) for which, spent in cpu.items()},
        "cost_of_rate": round(1 - rates["with"] / rates["without"], 3),
        "cost_of_cpu": round(cpu["with"] / cpu["without"] - 1, 3),
        "workload": vars(arguments),
        "machine": machine(),
    }


if __name__ == "__main__":
    main()
