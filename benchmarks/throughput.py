"""How many events a second the whole path scores, beside its competitors on the same events.

The topic is filled first. Then each round runs, in turn: the real worker (Kafka → windows in Redis → GRU →
next items → Kafka); the naive way (one Faust agent, a dictionary, `model.predict` for each event); stock
Faust with the windows in Redis and the GRU on whole batches; Quix Streams and Bytewax with their own state,
with the GRU and without any model; and librdkafka alone, which only consumes the events and produces records
as large as ours. Every clock is an independent reader's and runs over the second half of the records: the
first half fills the windows. Kafka, Valkey, the program and the reader share the
machine's cores. Each round of ours is held against the demo's accounts and the saved Keras model.

`make bench-setup` makes the competitors' environments; without it, those that lack one are left out.

    python -m benchmarks.throughput --picture throughput.svg
    python -m benchmarks.throughput --events 100000 --rounds 1
    python -m benchmarks.throughput --events 50000 --rounds 1 --only ours,librdkafka
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.support import competitors as field
from benchmarks.support.artifact import write_model
from benchmarks.support.competitors import COMPETITORS, LIMIT, Competitor, CompetitorRun, run_competitor
from benchmarks.support.figures import median, median_ratio, spread
from benchmarks.support.integrity import Check, Integrity, worst
from benchmarks.support.machine import machine
from benchmarks.support.options import add_common_size, add_course, parser
from benchmarks.support.picture import bars
from benchmarks.support.records import median_record_bytes
from benchmarks.support.scoring_run import ScoringRun, profiled, round_settings, run_workers
from benchmarks.support.workload import Workload, publish
from foreclick.services import local_services
from foreclick.settings import Settings
from foreclick.signals import end_on_sigterm_as_on_ctrl_c
from foreclick.topics import create_topics
from model_store.artifacts import ModelStore

OURS = "foreclick"
PROFILED_EVENTS = 100_000
SAMPLE_USERS = 400


class Rounds:
    """What all rounds came to."""

    def __init__(self) -> None:
        self.ours: list[ScoringRun] = []
        self.theirs: dict[str, list[CompetitorRun]] = defaultdict(list)
        self.checks: list[Integrity] = []

    def rates(self, name: str) -> list[float]:
        runs = self.ours if name == OURS else self.theirs[name]
        return [run.events_per_s for run in runs]

    def cpu_us(self, name: str) -> list[float]:
        runs = self.ours if name == OURS else self.theirs[name]
        return [run.cpu_us_per_event for run in runs]


def main() -> None:
    """Measure, show a table and a picture, and print one JSON line."""
    arguments = _arguments()
    end_on_sigterm_as_on_ctrl_c()
    workload = Workload(arguments.events, arguments.users, arguments.items)
    chosen = _chosen(arguments)
    with tempfile.TemporaryDirectory() as directory, local_services() as services:
        scratch = Path(directory)
        models = scratch / "models"
        version = write_model(models, workload, units=arguments.units, window_size=arguments.window)
        settings = Settings(kafka=services.kafka, redis=services.redis_url, model_store=models)
        create_topics(settings)
        publish(workload, services.kafka, settings.events_topic)
        artifact = ModelStore(models).path("gru", version)
        rounds = Rounds()
        for number in range(arguments.rounds):
            _round(rounds, number, settings, artifact, chosen, arguments, scratch)
        steps = _steps(settings, arguments, scratch)
    _show(rounds, chosen)
    if arguments.picture:
        medians = {name: median(rounds.rates(name)) for name in (OURS, *(one.name for one in chosen))}
        bars(arguments.picture, "Events a second, all on one machine", "events/s", medians, [OURS])
    print(json.dumps(_summary(arguments, version, rounds, chosen, steps)))


def _arguments() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--events", type=int, default=400_000, help="events in the topic")
    add_common_size(options)
    options.add_argument("--only", default="", help="parts of names, with commas: ours alone is `ours`")
    add_course(options)
    return options.parse_args()


def _chosen(arguments: argparse.Namespace) -> list[Competitor]:
    wanted = [part.strip().lower() for part in arguments.only.split(",") if part.strip()]
    absent = field.absent(COMPETITORS)
    if absent:
        print(f"left out, as their environments are not there (`make bench-setup`): {', '.join(absent)}")
    return [
        one
        for one in COMPETITORS
        if one.name not in absent and (not wanted or any(part in one.name.lower() for part in wanted))
    ]


def _round(
    rounds: Rounds,
    number: int,
    settings: Settings,
    artifact: Path,
    chosen: list[Competitor],
    arguments: argparse.Namespace,
    scratch: Path,
) -> None:
    """Run everybody once over the same events, ours first, and check ours."""
    own = round_settings(settings, f"throughput-{number}")
    rounds.ours.append(
        run_workers(own, arguments.events, scratch, uncounted=field.uncounted(arguments.events))
    )
    _say(number, OURS, rounds.ours[-1])
    samples = scratch / "samples"
    samples.mkdir(exist_ok=True)
    check = Check(settings, arguments.window, {artifact.name: artifact}, SAMPLE_USERS, samples)
    rounds.checks.append(check())
    record_bytes = median_record_bytes(settings.kafka, settings.predictions_topic)
    for one in chosen:
        events = min(one.most_events, arguments.events)
        run = run_competitor(one, settings, events, artifact, record_bytes, scratch)
        rounds.theirs[one.name].append(run)
        _say(number, one.name, run)


def _steps(settings: Settings, arguments: argparse.Namespace, scratch: Path) -> dict[str, float]:
    """Profile a run of its own, so that no other pays for it."""
    own = round_settings(settings, "throughput-profiled")
    return profiled(own, min(arguments.events, PROFILED_EVENTS), scratch)


def _say(number: int, name: str, run: ScoringRun | CompetitorRun) -> None:
    print(
        f"round {number + 1}: {name} {run.events_per_s:,.0f} events/s,"
        f" {run.cpu_us_per_event:.1f} us of CPU an event",
        flush=True,
    )


def _show(rounds: Rounds, chosen: list[Competitor]) -> None:
    table = Table("", "events/s", "least to most", "us of CPU an event", "ours is")
    for name in (OURS, *(one.name for one in chosen)):
        rates = rounds.rates(name)
        times = "" if name == OURS else f"{median_ratio(rounds.rates(OURS), rates):.2f} times"
        least, most = spread(rates)
        table.add_row(
            name,
            f"{median(rates):,.0f}",
            f"{least:,.0f} to {most:,.0f}",
            f"{median(rounds.cpu_us(name)):.1f}",
            times,
        )
    Console().print(table)


def _summary(
    arguments: argparse.Namespace,
    version: str,
    rounds: Rounds,
    chosen: list[Competitor],
    steps: dict[str, float],
) -> dict[str, Any]:
    ours = rounds.rates(OURS)
    names = [one.name for one in chosen]
    limit = rounds.rates(LIMIT) if LIMIT in names else []
    return {
        "events_per_s": round(median(ours)),
        "cpu_us_per_event": median(rounds.cpu_us(OURS), 1),
        "competitors": {name: round(median(rounds.rates(name)), 1) for name in names if name != LIMIT},
        "limit_events_per_s": round(median(limit)) if limit else None,
        "times": {name: median_ratio(ours, rounds.rates(name)) for name in names if name != LIMIT},
        "share_of_limit": median_ratio(ours, limit) if limit else None,
        "spread": {
            "events_per_s": spread(ours),
            "cpu_us_per_event": spread(rounds.cpu_us(OURS)),
            **{name: spread(rounds.rates(name)) for name in names},
        },
        "competitors_cpu_us_per_event": {name: median(rounds.cpu_us(name), 1) for name in names},
        "competitors_events": {one.name: min(one.most_events, arguments.events) for one in chosen},
        "steps_us_per_event": steps,
        **worst(rounds.checks),
        "republished": sum(run.reading.records - run.reading.distinct for run in rounds.ours),
        "worker_rss_bytes": max(run.rss_bytes for run in rounds.ours),
        "workload": {
            name: str(value) if isinstance(value, Path) else value for name, value in vars(arguments).items()
        },
        "model": version,
        "machine": machine(),
        "competitor_versions": field.versions(),
    }


if __name__ == "__main__":
    main()
