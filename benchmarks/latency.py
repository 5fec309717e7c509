"""How long an event takes to its prediction, beside a bare echo at the same rates.

Events are sent on a schedule that waits for nothing; a latency runs from the moment at which an event was
due to the moment at which a reader of its own sees its prediction, so a stall is not hidden. The echo is
librdkafka in Python: it consumes an event and produces a record as large as a prediction. Each rate runs ours
and the echo in turn, several rounds. Users have the windows of a worker that has long been running, and the
broker is warmed before, as one that has run for days: Java compiles while it works. Then the worker is left
alone, to see what it costs idle, and last a new model is promoted under load. Kafka, Valkey, the worker, the
sender and the reader share the machine's cores.

    python -m benchmarks.latency --picture latency.svg
    python -m benchmarks.latency --rates 100,2000 --seconds 5 --rounds 1
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.support.artifact import write_model
from benchmarks.support.brokers import wait_for_group
from benchmarks.support.child import Child
from benchmarks.support.figures import median, spread
from benchmarks.support.integrity import Check, worst
from benchmarks.support.latency_run import PacedRun, echo, paced_run, warm
from benchmarks.support.machine import machine
from benchmarks.support.options import add_common_size, add_course, numbers, parser, shown
from benchmarks.support.paced import summary
from benchmarks.support.picture import lines
from benchmarks.support.prefill import Fill, fill_redis
from benchmarks.support.promotion import Promotion, promotion
from benchmarks.support.records import median_record_bytes
from benchmarks.support.scoring_run import worker
from benchmarks.support.workload import Workload
from foreclick.services import local_services
from foreclick.settings import Settings
from foreclick.signals import end_on_sigterm_as_on_ctrl_c
from foreclick.topics import create_topics
from model_store.artifacts import ModelStore

SAMPLE_USERS = 300
SETTLE_S = 3.0
WARMING_RATE = 2_000.0


@dataclass
class Runs:
    """All rounds, by rate."""

    ours: dict[float, list[PacedRun]]
    echoes: dict[float, list[PacedRun]]


def main() -> None:
    """Measure, show a table and a picture, and print one JSON line."""
    arguments = _arguments()
    end_on_sigterm_as_on_ctrl_c()
    workload = Workload(1, arguments.users, arguments.items, start_ms=time.time_ns() // 1_000_000)
    runs = Runs(defaultdict(list), defaultdict(list))
    with tempfile.TemporaryDirectory() as directory, local_services(long_lived=True) as services:
        scratch = Path(directory)
        models = scratch / "models"
        version, successor = _models(models, arguments)
        settings = Settings(kafka=services.kafka, redis=services.redis_url, model_store=models)
        create_topics(settings)
        fill = Fill(arguments.users, arguments.items, arguments.window, end_ms=workload.start_ms)
        fill_redis(settings, fill)
        with worker(settings, scratch / "worker.log") as child:
            events = settings.events_topic
            wait_for_group(
                settings.kafka, settings.consumer_group, events, settings.partitions, 1, child.check
            )
            warm(settings, workload, child.check)
            _warm_broker(settings, arguments.warming_seconds, workload, child)
            for number in range(arguments.rounds):
                for rate in arguments.rates:
                    _round(number, rate, runs, settings, arguments, scratch, child, workload)
            idle_cpu_percent = _idle(child, arguments.idle_seconds)
            swap = None
            if arguments.promotion_rate:
                swap = promotion(
                    settings,
                    successor,
                    arguments.promotion_rate,
                    arguments.promotion_seconds,
                    workload,
                    child,
                )
        places = {name: ModelStore(models).path("gru", name) for name in (version, successor)}
        checked = Check(settings, arguments.window, places, SAMPLE_USERS, fill=fill)()
    rates = {f"{rate:g}": _rate(runs.ours[rate], runs.echoes[rate]) for rate in arguments.rates}
    _show(rates, idle_cpu_percent, swap)
    if arguments.picture:
        _draw(arguments.picture, rates)
    print(
        json.dumps(
            {
                "rates": rates,
                "idle_cpu_percent": idle_cpu_percent,
                "promotion": None if swap is None else asdict(swap),
                **worst([checked]),
                "workload": shown(arguments),
                "machine": machine(),
            }
        )
    )


def _arguments() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--rates", type=numbers, default=[100.0, 1000.0, 2000.0, 5000.0], help="events/s")
    options.add_argument("--seconds", type=float, default=10.0, help="of each rate in a round, after warming")
    options.add_argument("--warming-seconds", type=float, default=60.0, help="for the broker")
    options.add_argument("--idle-seconds", type=float, default=20.0)
    options.add_argument("--promotion-rate", type=float, default=5000.0, help="events/s; 0 leaves it out")
    options.add_argument("--promotion-seconds", type=float, default=30.0)
    add_common_size(options)
    add_course(options)
    return options.parse_args()


def _warm_broker(settings: Settings, seconds: float, workload: Workload, child: Child) -> None:
    """Load the broker until Java has compiled what it does, as it has where one runs for days."""
    places = settings.events_topic, settings.predictions_topic
    run = paced_run(settings, *places, WARMING_RATE, seconds, _now(workload), check=child.check)
    print(f"warming, {seconds:g} s at {WARMING_RATE:g} events/s: {_said(run)}", flush=True)


def _models(root: Path, arguments: argparse.Namespace) -> tuple[str, str]:
    """Write two models of one size but other weights; the first serves."""
    workload = Workload(20_000, arguments.users, arguments.items)
    size = {"units": arguments.units, "window_size": arguments.window}
    first = write_model(root, workload, **size)
    return first, write_model(root, workload, **size, seed=2, promote=False)


def _round(
    number: int,
    rate: float,
    runs: Runs,
    settings: Settings,
    arguments: argparse.Namespace,
    scratch: Path,
    child: Child,
    workload: Workload,
) -> None:
    """Run ours at ``rate``, and the echo."""
    places = settings.events_topic, settings.predictions_topic
    workload = _now(workload)
    ours = paced_run(settings, *places, rate, arguments.seconds, workload, check=child.check)
    runs.ours[rate].append(ours)
    record_bytes = median_record_bytes(settings.kafka, settings.predictions_topic)
    with echo(settings, record_bytes, scratch) as topics:
        bare = paced_run(settings, *topics, rate, arguments.seconds, workload)
    runs.echoes[rate].append(bare)
    print(f"round {number + 1}: at {rate:g} events/s {_said(ours)}; bare echo {_said(bare)}", flush=True)


def _now(workload: Workload) -> Workload:
    """Return ``workload`` with events of now, since those of a run before would be late."""
    return replace(workload, start_ms=time.time_ns() // 1_000_000)


def _said(run: PacedRun) -> str:
    told = summary(run.latencies_ms)
    return f"p50 {told['p50_ms']:.2f} ms, p99 {told['p99_ms']:.2f} ms, lost {run.lost}"


def _idle(child: Child, seconds: float) -> float:
    """Return what the worker takes of a core when nothing comes, in percent."""
    time.sleep(SETTLE_S)
    before_s, began_s = child.cpu_s(), time.monotonic()
    time.sleep(seconds)
    return round(100 * (child.cpu_s() - before_s) / (time.monotonic() - began_s), 2)


def _rate(ours: list[PacedRun], echoes: list[PacedRun]) -> dict[str, Any]:
    """Return the medians over the rounds of each percentile."""
    told = [summary(run.latencies_ms) for run in ours]
    bare = [summary(run.latencies_ms) for run in echoes]
    return {
        **{name: median([one[name] for one in told], 3) for name in told[0]},
        **{f"echo_{name}": median([one[name] for one in bare], 3) for name in bare[0]},
        "times_echo": median(
            [one["p50_ms"] / other["p50_ms"] for one, other in zip(told, bare, strict=True)]
        ),
        "lost": sum(run.lost for run in ours),
        "spread": {name: spread([one[name] for one in told], 3) for name in told[0]},
        "sender_late_p99_ms": max(run.sent.late_p99_ms for run in (*ours, *echoes)),
    }


def _show(rates: dict[str, dict[str, Any]], idle_cpu_percent: float, swap: Promotion | None) -> None:
    table = Table("events/s", "p50 ms", "p99 ms", "p99.9 ms", "echo p50 ms", "times echo", "lost")
    for rate, told in rates.items():
        names = ("p50_ms", "p99_ms", "p999_ms", "echo_p50_ms", "times_echo")
        table.add_row(rate, *(f"{told[name]:.2f}" for name in names), str(told["lost"]))
    console = Console()
    console.print(table)
    console.print(f"idle, the worker takes {idle_cpu_percent:.2f} % of a core")
    if swap is not None:
        console.print(
            f"a promotion at {swap.rate:g} events/s: p99 {swap.swap_p99_ms:.1f} ms in the"
            f" {swap.swap_s:.1f} s of the swap, {swap.steady_p99_ms:.1f} ms before and after,"
            f" {swap.ratio:.2f} times; lost {swap.lost}"
        )


def _draw(path: Path, rates: dict[str, dict[str, Any]]) -> None:
    across = [float(rate) for rate in rates]
    names = {"ours, median": "p50_ms", "ours, 99 of 100": "p99_ms", "bare echo, median": "echo_p50_ms"}
    series = {
        title: (across, [told[name] for told in rates.values()])
        for title, name in {**names, "bare echo, 99 of 100": "echo_p99_ms"}.items()
    }
    lines(path, "From due to seen", ("events/s", "ms"), series)


if __name__ == "__main__":
    main()
