"""Training at scale: our steps beside plain Keras, and a long log from CSV to a model beside a shorter one.

First, in turn in one process: our training, and `model.fit` with a softmax over all items, on the same
batches; events are those that a loss is taken at. Then, a process for each length of log: read a simulated
CSV, make the table, learn ONE epoch with the product's defaults, measure, publish. A whole training learns
several epochs, and the newest events too; each costs what `learn` says. Peak memory is the resident set's,
mapped files included. All files are in a temporary directory, about 250 bytes an event.
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
    ratios = [ours / theirs for ours, theirs in zip(rounds["ours"], rounds["keras"], strict=True)]
    per_event = {length: run["total_s"] * 1e6 / run["events"] for length, run in runs.items()}
    shorter, longer = per_event.values()
    return {
        "train_events_per_s": round(statistics.median(rounds["ours"])),
        "keras_events_per_s": round(statistics.median(rounds["keras"])),
        "ratio": round(statistics.median(ratios), 1),
        "spread": {
            "train_events_per_s": _spread(rounds["ours"], 0),
            "keras_events_per_s": _spread(rounds["keras"], 0),
            "ratio": _spread(ratios, 1),
        },
        "padding_share": round(rounds["padding_share"], 4),
        "peak_memory_bytes": max(run["peak_memory_bytes"] for run in runs.values()),
        "us_per_event": {str(length): round(value, 1) for length, value in per_event.items()},
        "times_cost_per_event": round(longer / shorter, 3),
        "runs": {str(length): _rounded(run) for length, run in runs.items()},
        "epochs": 1,
        "workload": vars(arguments),
        "machine": machine(),
    }


def _rounded(run: dict[str, Any]) -> dict[str, Any]:
    stages = {name: round(seconds, 1) for name, seconds in run["stages_s"].items()}
    each = {name: round(seconds * 1e6 / run["events"], 1) for name, seconds in run["stages_s"].items()}
    return {**run, "stages_s": stages, "stages_us_per_event": each, "total_s": round(run["total_s"], 1)}


def _spread(values: list[float], digits: int) -> list[float]:
    return [round(min(values), digits), round(max(values), digits)]


if __name__ == "__main__":
    main()
