"""What a million events cost: CPU seconds of the worker, Kafka and Redis, bytes of Redis, and money.

The worker scores a full topic, with users' windows as full as those of a worker that has long been running.
The money is that of a machine which does nothing else and is kept as busy as here: the wall time of a
million events at the price of an hour. Beside it stands what it would cost to run the network over the whole
window at each event, instead of one step from the kept state: the same weights, NumPy and batches.

The default price is that of AWS' m5.large (2 vCPU, 8 GiB), Linux, on demand, us-east-1: the list price of
USD 0.096 an hour, which has stood since 2017. Give yours.

    python -m benchmarks.cost
    python -m benchmarks.cost --events 50000 --rounds 1
    python -m benchmarks.cost --price-per-hour 0.0816 --machine "AWS m7g.large, us-east-1, June 2026"
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.support.artifact import write_model
from benchmarks.support.figures import median, spread
from benchmarks.support.integrity import Check, Integrity, worst
from benchmarks.support.machine import machine
from benchmarks.support.options import add_common_size, add_course, parser, shown
from benchmarks.support.picture import bars
from benchmarks.support.prefill import Fill, fill_redis
from benchmarks.support.recompute_cost import StepCosts, step_costs
from benchmarks.support.scoring_run import ScoringRun, run_workers
from benchmarks.support.spent import Meter, Spending
from benchmarks.support.stage import Stage, own_settings, redis_bytes_of, staged
from benchmarks.support.workload import Workload
from foreclick.settings import Settings
from foreclick.signals import end_on_sigterm_as_on_ctrl_c

PRICE_PER_HOUR = 0.096
MACHINE = "AWS m5.large (2 vCPU, 8 GiB), Linux, on demand, us-east-1"
SAMPLE_USERS = 300
MILLION = 1_000_000


@dataclass(frozen=True)
class Measured:
    """One round. ``spent`` is of Kafka and Redis; ``run`` has the worker's. Start-up is in neither."""

    run: ScoringRun
    spent: Spending
    redis_bytes_per_user: float

    def of_a_million(self, name: str) -> float:
        """Return what was spent of ``name`` for a million events."""
        return float(getattr(self.spent, name) * MILLION / self.run.reading.behind_first)


def main() -> None:
    """Measure, show a table and a picture, and print one JSON line."""
    arguments = _arguments()
    end_on_sigterm_as_on_ctrl_c()
    workload = Workload(arguments.events, arguments.users, arguments.items)
    measured, checks = [], []
    with tempfile.TemporaryDirectory() as directory, staged(Path(directory)) as stage:
        root = stage.scratch / "models"
        write_model(root, workload, units=arguments.units, window_size=arguments.window)
        settings = stage.serving(root)
        for number in range(arguments.rounds):
            found, checked = _run(stage, own_settings(settings, f"cost-{number}"), workload, arguments.window)
            measured.append(found)
            checks.append(checked)
            print(f"round {number + 1}: {found.run.events_per_s:,.0f} events/s", flush=True)
        costs = step_costs(settings, arguments.window, arguments.items)
    summary = _summary(measured, costs, arguments)
    _show(summary)
    if arguments.picture:
        bars(
            arguments.picture,
            "CPU of a million events",
            "seconds",
            _bars(summary),
            ["worker", "Kafka", "Redis"],
            scale="linear",
        )
    print(json.dumps({**summary, **worst(checks), "workload": shown(arguments), "machine": machine()}))


def _arguments() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--events", type=int, default=400_000)
    add_common_size(options)
    options.add_argument("--price-per-hour", type=float, default=PRICE_PER_HOUR, help="USD")
    options.add_argument("--machine", default=MACHINE, help="what has that price, where and when")
    add_course(options)
    return options.parse_args()


def _run(stage: Stage, settings: Settings, workload: Workload, window: int) -> tuple[Measured, Integrity]:
    """Fill Redis, score the topic, and check it."""
    fill = Fill(workload.users, workload.items, window)
    with stage.emptied_redis(), stage.topics(settings, workload):
        per_user = redis_bytes_of(settings, fill.users, lambda: fill_redis(settings, fill))
        meter = Meter(stage.services)
        run = run_workers(settings, workload.events, stage.scratch, moment=meter)
        check = Check(settings, window, stage.artifacts(settings), SAMPLE_USERS, fill=fill)()
    return Measured(run, meter.spent, per_user), check


def _summary(measured: list[Measured], costs: StepCosts, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the medians, for a million events where nothing else is said."""
    worker_s = [one.run.cpu_us_per_event for one in measured]  # us an event are s a million events
    rates = [one.run.events_per_s for one in measured]
    per_s = arguments.price_per_hour / 3600
    dearer_s = costs.window_us - costs.kept_us
    return {
        "worker_cpu_s": median(worker_s, 1),
        "kafka_cpu_s": median([one.of_a_million("kafka_cpu_s") for one in measured], 1),
        "redis_cpu_s": median([one.of_a_million("redis_cpu_s") for one in measured], 1),
        "redis_bytes_in": round(median([one.of_a_million("redis_bytes_in") for one in measured])),
        "redis_bytes_out": round(median([one.of_a_million("redis_bytes_out") for one in measured])),
        "redis_bytes_per_user": round(median([one.redis_bytes_per_user for one in measured])),
        "wall_s": median([MILLION / rate for rate in rates], 1),
        "usd": median([MILLION / rate * per_s for rate in rates], 5),
        "events_per_s": round(median(rates)),
        "spread": {"events_per_s": spread(rates, 0), "worker_cpu_s": spread(worker_s, 1)},
        "machine_price_per_hour_usd": arguments.price_per_hour,
        "machine_of_the_price": arguments.machine,
        "network_from_kept_state_cpu_s": costs.kept_us,
        "network_over_window_cpu_s": costs.window_us,
        "worker_cpu_s_recomputing": round(median(worker_s, 1) + dearer_s, 1),
    }


def _bars(summary: dict[str, Any]) -> dict[str, float]:
    return {
        "worker": summary["worker_cpu_s"],
        "worker, if it ran over each window": summary["worker_cpu_s_recomputing"],
        "Kafka": summary["kafka_cpu_s"],
        "Redis": summary["redis_cpu_s"],
    }


def _show(summary: dict[str, Any]) -> None:
    table = Table("of a million events", "")
    for name, seconds in _bars(summary).items():
        table.add_row(f"CPU: {name}", f"{seconds:,.1f} s")
    table.add_row(
        "to and from Redis", f"{(summary['redis_bytes_in'] + summary['redis_bytes_out']) / 1e6:,.0f} MB"
    )
    table.add_row("Redis' memory, a user", f"{summary['redis_bytes_per_user']:,} bytes")
    table.add_row("wall time", f"{summary['wall_s']:,.1f} s")
    price = summary["machine_price_per_hour_usd"]
    table.add_row(f"price, at USD {price:g} an hour", f"USD {summary['usd']:.5f}")
    Console().print(table)


if __name__ == "__main__":
    main()
