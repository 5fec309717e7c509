"""Whether the cost of an event grows with the catalogue, the users, the window, or the workers.

One axis at a time leaves the common size: items, users, window, and workers on the topic's six partitions.
A round runs every point once, and the rounds follow one another, so that what drifts on the machine cancels.
The users' states stand in Redis before a run, windows as full as those of a worker that has long been
running: a million users really are a million. `falls` tells which share of the throughput is lost.

    python -m benchmarks.growth --picture growth.svg
    python -m benchmarks.growth --events 60000 --rounds 1 --items 1000,20000 --users 10000,50000 --workers 1
    python -m benchmarks.growth --axes window
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.support.artifact import write_model
from benchmarks.support.figures import fall, median, spread
from benchmarks.support.integrity import Check, Integrity, worst
from benchmarks.support.machine import machine
from benchmarks.support.options import add_course, integers, parser, shown
from benchmarks.support.picture import panels
from benchmarks.support.prefill import Fill, fill_redis
from benchmarks.support.scoring_run import ScoringRun, held_settings, run_workers
from benchmarks.support.stage import Stage, own_settings, redis_bytes_of, staged
from benchmarks.support.workload import Workload, publish
from foreclick.settings import Settings
from foreclick.signals import end_on_sigterm_as_on_ctrl_c
from model_store.item_index import INDEX_DESCRIPTION_FILE

AXES = ("items", "users", "window", "workers")
FALLS = {"users": (20_000, 1_000_000), "items": (50_000, 1_000_000), "window": (20, 200)}
SAMPLE_USERS = 200
Models = dict[tuple[int, int], Settings]  # by items and window


@dataclass(frozen=True, order=True)
class Point:
    """One size of everything."""

    items: int
    users: int
    window: int
    workers: int


@dataclass(frozen=True)
class Measured:
    """One run at a point, and the Redis bytes of a user's state before it."""

    run: ScoringRun
    redis_bytes_per_user: float


def main() -> None:
    """Measure, show a table and a picture, and print one JSON line."""
    arguments = _arguments()
    end_on_sigterm_as_on_ctrl_c()
    common = Point(arguments.common_items, arguments.common_users, arguments.common_window, 1)
    points = _points(common, arguments)
    measured: dict[Point, list[Measured]] = defaultdict(list)
    checks: list[Integrity] = []
    with tempfile.TemporaryDirectory() as directory, staged(Path(directory)) as stage:
        models = _models(stage, points, arguments)
        full_gib = _full_windows_gib(stage, models, common, arguments)
        for number in range(arguments.rounds):
            for point in points:
                found, checked = _run(stage, models, point, number, arguments)
                measured[point].append(found)
                checks.extend(checked)
                rate = found.run.events_per_s
                print(f"round {number + 1}: {_named(point)}: {rate:,.0f} events/s", flush=True)
        recalls = {point: _recall(stage, models[_model_of(point)]) for point in points}
    rows = [_row(point, measured[point], recalls[point]) for point in points]
    _show(rows)
    if arguments.picture:
        _draw(arguments.picture, common, points, rows)
    print(
        json.dumps(
            {
                "falls": _falls(common, measured),
                "rows": rows,
                "redis_gib_per_million_users": full_gib,
                **worst(checks),
                "workload": shown(arguments),
                "machine": machine(),
            }
        )
    )


def _arguments() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--items", type=integers, default=[1_000, 50_000, 1_000_000])
    options.add_argument("--users", type=integers, default=[10_000, 20_000, 1_000_000])
    options.add_argument("--window", type=integers, default=[20, 50, 200])
    options.add_argument("--workers", type=integers, default=[1, 2, 3])
    options.add_argument("--axes", default=",".join(AXES), help="which of them to walk along")
    options.add_argument("--common-items", type=int, default=50_000)
    options.add_argument("--common-users", type=int, default=20_000)
    options.add_argument("--common-window", type=int, default=20)
    options.add_argument("--units", type=int, default=64)
    options.add_argument("--events", type=int, default=200_000, help="of each run")
    options.add_argument("--full-users", type=int, default=1_000_000, help="to count Redis' memory by")
    add_course(options)
    return options.parse_args()


def _points(common: Point, arguments: argparse.Namespace) -> list[Point]:
    """Return the common size and what differs from it along one axis, each once."""
    points = [common]
    for axis in arguments.axes.split(","):
        points += [Point(**{**vars(common), axis: size}) for size in getattr(arguments, axis)]
    return list(dict.fromkeys(points))


def _model_of(point: Point) -> tuple[int, int]:
    return point.items, point.window


def _models(
    stage: Stage, points: list[Point], arguments: argparse.Namespace
) -> dict[tuple[int, int], Settings]:
    """Write a model for each catalogue and window, in a store of its own; return settings that serve it."""
    models = {}
    for items, window in dict.fromkeys(map(_model_of, points)):
        root = stage.scratch / f"models-{items}-{window}"
        workload = Workload(20_000, arguments.common_users, items)
        write_model(root, workload, units=arguments.units, window_size=window)
        models[items, window] = stage.serving(root)
        print(f"a model of {items:,} items and windows of {window} is written", flush=True)
    return models


def _full_windows_gib(
    stage: Stage, models: Models, common: Point, arguments: argparse.Namespace
) -> float | None:
    """Return what a million users with full windows take of Redis, in GiB."""
    if not arguments.full_users:
        return None
    settings = own_settings(models[_model_of(common)], "full")
    fill = Fill(arguments.full_users, common.items, common.window, full=True)
    with stage.emptied_redis(), stage.topics(settings):
        per_user = redis_bytes_of(settings, fill.users, lambda: fill_redis(settings, fill))
    return round(per_user * 1e6 / 2**30, 3)


def _run(
    stage: Stage,
    models: Models,
    point: Point,
    number: int,
    arguments: argparse.Namespace,
) -> tuple[Measured, list[Integrity]]:
    """Fill Redis and the topic for ``point``, score it, and check the first round."""
    name = "-".join(map(str, (number, *vars(point).values())))
    settings = held_settings(own_settings(models[_model_of(point)], f"growth-{name}"))
    workload = Workload(arguments.events, point.users, point.items)
    fill = Fill(point.users, point.items, point.window)
    with stage.emptied_redis(), stage.topics(settings):
        per_user = redis_bytes_of(settings, fill.users, lambda: fill_redis(settings, fill))
        run = run_workers(
            settings,
            workload.events,
            stage.scratch,
            point.workers,
            publish=lambda: publish(workload, settings.kafka, settings.events_topic),
        )
        checks = []
        if number == 0:
            check = Check(settings, point.window, stage.artifacts(settings), SAMPLE_USERS, fill=fill)
            checks.append(check())
    return Measured(run, per_user), checks


def _recall(stage: Stage, settings: Settings) -> float:
    (artifact,) = stage.artifacts(settings).values()
    described = json.loads((artifact / INDEX_DESCRIPTION_FILE).read_text())
    return round(float(described["recall_at_20"]), 4)


def _row(point: Point, measured: list[Measured], recall: float) -> dict[str, Any]:
    rates = [one.run.events_per_s for one in measured]
    return {
        **vars(point),
        "events_per_s": round(median(rates)),
        "spread": spread(rates, 0),
        "cpu_us_per_event": median([one.run.cpu_us_per_event for one in measured], 1),
        "worker_rss_bytes": max(one.run.rss_bytes for one in measured),
        "redis_bytes_per_user": median([one.redis_bytes_per_user for one in measured], 0),
        "index_recall_at_20": recall,
    }


def _falls(common: Point, measured: dict[Point, list[Measured]]) -> dict[str, float]:
    """Return which share of the throughput is lost between two sizes, where both were measured."""
    falls = {}
    for axis, ends in FALLS.items():
        before, after = (measured.get(Point(**{**vars(common), axis: size})) for size in ends)
        if before and after:
            rates = [[one.run.events_per_s for one in side] for side in (before, after)]
            falls[f"{axis} {ends[0]}-{ends[1]}"] = fall(*rates)
    return falls


def _named(point: Point) -> str:
    return ", ".join(f"{name} {size:,}" for name, size in vars(point).items())


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(*AXES, "events/s", "us of CPU an event", "worker MB", "Redis bytes a user", "recall@20")
    for row in rows:
        table.add_row(
            *(f"{row[name]:,}" for name in AXES),
            f"{row['events_per_s']:,}",
            f"{row['cpu_us_per_event']:.1f}",
            f"{row['worker_rss_bytes'] / 1e6:,.0f}",
            f"{row['redis_bytes_per_user']:,.0f}",
            f"{row['index_recall_at_20']:.4f}",
        )
    Console().print(table)


def _draw(path: Path, common: Point, points: list[Point], rows: list[dict[str, Any]]) -> None:
    values = {}
    for axis in AXES:
        along = [
            (vars(point)[axis], row["events_per_s"])
            for point, row in zip(points, rows, strict=True)
            if all(vars(point)[other] == vars(common)[other] for other in AXES if other != axis)
        ]
        if len(along) > 1:
            along.sort()
            values[axis] = [f"{size:,}" for size, _ in along], [float(rate) for _, rate in along]
    panels(path, "Throughput as the problem grows", "events/s", values)


if __name__ == "__main__":
    main()
