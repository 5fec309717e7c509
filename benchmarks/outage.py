"""Redis, then Kafka, down for a minute under a steady stream: is anything lost, and when is it caught up?

The server is killed, stays down, and is started again on its data. Caught up is when no more events wait for
their prediction than a second brings; those that the producer could not yet send wait too.

    python -m benchmarks.outage
    python -m benchmarks.outage --rate 1000 --seconds 10
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from typing import Any

from benchmarks.support.faults.load import Load
from benchmarks.support.faults.stream import NotKeptUpWith, Stream, running_stream
from benchmarks.support.machine import machine
from foreclick.services import ServiceProcess

PATIENCE_S = 600.0
SETTLE_S = 10.0
WORKERS = 2


def main() -> None:
    """Break each server once, tell of it, and print one JSON line. Exits with 1 where something was lost."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with running_stream(Load(arguments.rate), WORKERS) as stream:
            outages = {
                server.title: _outage(stream, server, arguments) for server in (stream.redis, stream.broker)
            }
            counts = stream.finish()
    except NotKeptUpWith as slow:
        sys.exit(f"{slow}: choose a lower --rate")
    print(json.dumps({"outages": outages, **counts, "workload": vars(arguments), "machine": machine()}))
    sys.exit(1 if counts["lost"] or counts["not_delivered"] else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=float, default=5_000.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each server is down")
    return parser.parse_args()


def _outage(stream: Stream, server: ServiceProcess, arguments: argparse.Namespace) -> dict[str, Any]:
    time.sleep(SETTLE_S)
    exits = [len(worker.exits) for worker in stream.workers]
    print(f"{server.title} is down for {arguments.seconds:g} s", flush=True)
    server.kill()
    time.sleep(arguments.seconds)
    server.start()
    waiting = stream.waiting()
    caught_up_s = stream.wait_until_kept_up_with(PATIENCE_S)
    ended = sum(len(worker.exits) for worker in stream.workers) - sum(exits)
    print(f"{server.title} is back; {waiting:,} events waited, caught up in {caught_up_s:.1f} s", flush=True)
    return {
        "down_s": arguments.seconds,
        "waited": waiting,
        "caught_up_s": round(caught_up_s, 1),
        "workers_ended": ended,
    }


if __name__ == "__main__":
    main()
