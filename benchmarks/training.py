"""Training at scale: our steps beside plain Keras, and a long log from CSV to a model beside a shorter one.

First, in turn in one process: our training, and `model.fit` with a softmax over all items, on the same
batches; events are those that a loss is taken at. Then, a process for each length of log: read a simulated
CSV, make the table, learn ONE epoch with the product's defaults, measure, publish. A whole training learns
several epochs, and the newest events too; each costs what `learn` says. Peak memory is the resident set's,
mapped files included. All files are in a temporary directory, about 250 bytes an event.
Wall times say something on a quiet machine only; CPU times, of all threads, hold for a busy one too.
Ends with one JSON line.

    python -m benchmarks.training
    python -m benchmarks.training --quick
    python -m benchmarks.training --events 3000000 --items 20000
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.support.large_log import write_log
from benchmarks.support.machine import machine
from benchmarks.support.train_once import say

SHORTER: Final = 10


def main() -> None:
    """Measure, and print one JSON line."""
    arguments = _arguments()
    lengths = [arguments.events // SHORTER, arguments.events]
    with tempfile.TemporaryDirectory(prefix="foreclick-training-") as place:
        root = Path(place)
        rounds = _rounds(root, lengths[0], arguments)
        runs = {length: _run(root, length, arguments.items) for length in lengths}
    print(json.dumps(_summary(arguments, rounds, runs)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000, help="of the longer log")
    parser.add_argument("--items", type=int, default=43_000, help="in the shop at any time")
    parser.add_argument("--rounds", type=int, default=3, help="of ours and Keras in turn")
    parser.add_argument("--keras-steps", type=int, default=8, help="batches a round")
    parser.add_argument("--our-steps", type=int, default=100, help="batches a round")
    parser.add_argument("--quick", action="store_true", help="a smoke test: a short log, one short round")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.events, arguments.items, arguments.rounds = 60_000, 2_000, 1
        arguments.keras_steps, arguments.our_steps = 2, 4
    if arguments.events < 1_000 * SHORTER:
        parser.error(f"--events must be at least {1_000 * SHORTER:,}")
    return arguments


def _rounds(root: Path, events: int, arguments: argparse.Namespace) -> dict[str, Any]:
    log = _written(root, events, arguments.items)
    say(f"ours and Keras in turn, {arguments.items:,} items")
    steps = [str(arguments.rounds), str(arguments.keras_steps), str(arguments.our_steps)]
    return _child("training_rounds", str(log), str(root / "rounds"), *steps)


def _run(root: Path, events: int, items: int) -> dict[str, Any]:
    log = _written(root, events, items)
    say(f"{events:,} events, from CSV to a model")
    return _child("train_once", str(log), str(root / f"run-{events}"))


def _written(root: Path, events: int, items: int) -> Path:
    log = root / f"{events}.csv"
    if not log.exists():
        begun_s = time.monotonic()
        write_log(log, events, items)
        say(f"wrote {events:,} simulated events in {time.monotonic() - begun_s:.1f} s")
    return log


def _child(name: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", f"benchmarks.support.{name}", *arguments]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    return result


def _summary(
    arguments: argparse.Namespace, rounds: dict[str, Any], runs: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    shorter, longer = runs.values()
    ours, keras = _rates(rounds["ours"]), _rates(rounds["keras"])
    ratios, ratios_cpu = _ratios(rounds, "events_per_s"), _ratios(rounds, "events_per_cpu_s")
    return {
        "train_events_per_s": ours["events_per_s"],
        "keras_events_per_s": keras["events_per_s"],
        "ratio": round(statistics.median(ratios), 1),
        "ratio_cpu": round(statistics.median(ratios_cpu), 1),
        "spread": {"ratio": _spread(ratios), "ratio_cpu": _spread(ratios_cpu)},
        "events_per_cpu_s": {"ours": ours["events_per_cpu_s"], "keras": keras["events_per_cpu_s"]},
        "padding_share": round(rounds["padding_share"], 4),
        "peak_memory_bytes": max(run["peak_memory_bytes"] for run in runs.values()),
        "times_cost_per_event": round(_us_per_event(longer)["wall"] / _us_per_event(shorter)["wall"], 3),
        "times_cost_per_event_cpu": round(_us_per_event(longer)["cpu"] / _us_per_event(shorter)["cpu"], 3),
        "runs": {str(length): _told(run) for length, run in runs.items()},
        "epochs": 1,
        "workload": vars(arguments),
        "machine": machine(),
    }


def _ratios(rounds: dict[str, Any], rate: str) -> list[float]:
    """Return how many times the rate of Keras ours is, by round."""
    return [ours[rate] / theirs[rate] for ours, theirs in zip(rounds["ours"], rounds["keras"], strict=True)]


def _spread(values: list[float]) -> list[float]:
    return [round(min(values), 1), round(max(values), 1)]


def _rates(rounds: list[dict[str, float]]) -> dict[str, int]:
    """Return the median rates of the rounds, by name."""
    return {name: round(statistics.median(each[name] for each in rounds)) for name in rounds[0]}


def _told(run: dict[str, Any]) -> dict[str, Any]:
    """Return a run with its seconds rounded, and the microseconds an event of each stage."""
    spent = {**run["stages"], "total": run["total"]}
    return {
        "events": run["events"],
        "items": run["items"],
        "peak_memory_bytes": run["peak_memory_bytes"],
        "seconds": {
            name: {kind: round(each, 1) for kind, each in took.items()} for name, took in spent.items()
        },
        "us_per_event": {name: _us(took, run["events"]) for name, took in spent.items()},
    }


def _us_per_event(run: dict[str, Any]) -> dict[str, float]:
    return _us(run["total"], run["events"])


def _us(took: dict[str, float], events: int) -> dict[str, float]:
    return {kind: round(took[f"{kind}_s"] * 1e6 / events, 1) for kind in ("wall", "cpu")}


if __name__ == "__main__":
    main()
