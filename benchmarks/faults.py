"""Whether anything is lost, or done twice, whatever dies: real processes under faults, judged from outside.

Each round streams a shop's log at a steady rate through Kafka, Redis and two workers, and breaks them in each
of the ways once, in a random order that the seed decides. A fault counts only when its effect was seen from
outside. Then the same records go through one undisturbed worker, and an independent reader compares.

    python -m benchmarks.faults --minutes 3
    python -m benchmarks.faults --minutes 60 --seed 7
    python -m benchmarks.faults --faults "Redis emptied,broker killed"
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.support.faults.hooks import ACK_FIRST, WRITE_FIRST
from benchmarks.support.faults.judge import Verdict
from benchmarks.support.faults.round import Plan, run_round
from benchmarks.support.faults.schedule import KINDS, RECREATED, Injected, counted, endless_order
from benchmarks.support.faults.servers import running_servers
from benchmarks.support.faults.stage import SLOTS
from benchmarks.support.machine import machine

LONGEST_ROUND_S = 900.0  # of its faults; a judgement follows
LEAST_ROUND_S = 60.0


def main() -> None:
    """Run the rounds, tell of each fault, and print one JSON line. Exits with 1 for a broken promise."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started_s = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started_s:7.1f} s  {text}", flush=True)

    kinds = (
        [kind.strip() for kind in arguments.faults.split(",")] if arguments.faults else [*KINDS, RECREATED]
    )
    order = endless_order(kinds, arguments.seed)
    once = bool(arguments.faults)
    verdict, injected = Verdict(), list[Injected]()
    with (
        tempfile.TemporaryDirectory(prefix="foreclick-faults-") as directory,
        running_servers(Path(directory), SLOTS) as servers,
    ):
        number = 0
        while not number or (not once and _left_s(arguments, started_s) > LEAST_ROUND_S):
            seconds = math.inf if once else min(LONGEST_ROUND_S, _left_s(arguments, started_s))
            plan = Plan(
                f"round-{number}",
                arguments.seed + number,
                seconds,
                arguments.rate,
                order,
                len(kinds),
                arguments.sabotage,
            )
            one, faults = run_round(plan, servers, Path(directory), say)
            verdict, number = verdict + one, number + 1
            injected += faults
            say(f"so far: {json.dumps(_summary(arguments, verdict, injected))}")
    print(json.dumps(_summary(arguments, verdict, injected)))
    sys.exit(0 if verdict.clean else 1)


def _left_s(arguments: argparse.Namespace, started_s: float) -> float:
    return float(60 * arguments.minutes - (time.monotonic() - started_s))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--rate", type=float, default=300.0, help="events a second")
    parser.add_argument("--faults", default="", help="these kinds alone, each once, with commas between")
    parser.add_argument(
        "--sabotage",
        choices=("", ACK_FIRST, WRITE_FIRST),
        default="",
        help="break the workers' order of steps, to see the bench catch it",
    )
    return parser.parse_args()


def _summary(arguments: argparse.Namespace, verdict: Verdict, injected: list[Injected]) -> dict[str, object]:
    recoveries = [fault.recovery_s for fault in injected]
    return {
        "faults": counted(injected),
        "faults_in_all": len(injected),
        "fewest_of_a_kind": min(counted(injected).values()),
        **verdict.as_fields(),
        "max_recovery_s": round(max(recoveries, default=0.0), 2),
        "workload": vars(arguments),
        "machine": machine(),
    }


if __name__ == "__main__":
    main()
