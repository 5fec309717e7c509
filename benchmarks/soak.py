"""An hour with a rebalance each minute: is anything lost, and does anything grow?

A third worker joins at each minute and leaves half a minute later. The two that stay are looked at every ten
seconds; what they hold in the last quarter is compared with what they held in the second. With a backlog,
events always wait, so that the workers do all they can.

    python -m benchmarks.soak
    python -m benchmarks.soak --minutes 5 --rate 500
    python -m benchmarks.soak --minutes 30 --backlog 200000
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.support.faults.load import Load
from benchmarks.support.faults.stream import NotKeptUpWith, Stream, running_stream
from benchmarks.support.machine import machine

WORKERS = 2
MINUTE_S = 60.0
LOOK_INTERVAL_S = 10.0
MEASURES = ("rss_bytes", "open_files", "threads", "tasks")

Sample = Mapping[str, int]


def main() -> None:
    """Soak, tell how it stands each minute, and print one JSON line. Exits with 1 for a lost event."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    samples: list[list[Sample]] = [[] for _ in range(WORKERS)]
    try:
        with running_stream(Load(arguments.rate, arguments.backlog), WORKERS) as stream:
            joined = _soak(stream, samples, arguments.minutes)
            ended = sum(len(worker.exits) for worker in stream.workers)
            counts = stream.finish()
    except NotKeptUpWith as slow:
        sys.exit(f"{slow}: choose a lower --rate, or a --backlog for full load")
    summary = {
        **counts,
        "joins_and_leaves": joined,
        "unasked_ends": ended,
        "held": {f"worker-{number}": _growth(one) for number, one in enumerate(samples)},
        "workload": vars(arguments),
        "machine": machine(),
    }
    print(json.dumps(summary))
    sys.exit(1 if counts["lost"] or counts["not_delivered"] else 0)


def _soak(stream: Stream, samples: list[list[Sample]], minutes: float) -> int:
    """Let a worker join and leave each minute; return how often one did."""
    joined, before, ends_s = 0, stream.frontier.count, time.monotonic() + MINUTE_S * minutes
    while time.monotonic() < ends_s:
        began_s = time.monotonic()
        with stream.new_worker(WORKERS):
            _look(stream, samples, MINUTE_S / 2)
        _look(stream, samples, MINUTE_S / 2)
        joined += 1
        held = ", ".join(f"{name} {value:,}" for name, value in samples[0][-1].items())
        before, rate = stream.frontier.count, (stream.frontier.count - before) / (time.monotonic() - began_s)
        print(f"minute {joined}: {rate:,.0f} events/s, {stream.waiting():,} wait; {held}", flush=True)
    return joined


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=5_000.0, help="events a second")
    parser.add_argument("--backlog", type=int, default=0, help="events that always wait, in place of a rate")
    return parser.parse_args()


def _look(stream: Stream, samples: list[list[Sample]], seconds: float) -> None:
    """Take a sample of each worker that stays every ten seconds, for ``seconds``.

    What is behind is deleted as often: a backlog's predictions would fill the disk.
    """
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s:
        time.sleep(min(LOOK_INTERVAL_S, max(0.0, ends_s - time.monotonic())))
        for worker, taken in zip(stream.workers, samples, strict=True):
            if usage := worker.usage():
                taken.append(usage)
        stream.drop_read()


def _growth(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return the medians of the second quarter and of the last."""
    quarter = max(1, len(samples) // 4)
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    return {
        name: [statistics.median(one.get(name, 0) for one in part) for part in (early, late)]
        for name in MEASURES
    }


if __name__ == "__main__":
    main()
