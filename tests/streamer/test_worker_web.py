"""A running worker's metrics, asked for over HTTP."""

from __future__ import annotations

import re
import subprocess
import time
from http.client import HTTPConnection
from pathlib import Path

import msgspec

from foreclick.settings import Settings
from tests.streamer.artifacts import promote_random_model
from tests.streamer.events import event
from tests.streamer.worker import PATIENCE_S, keyed, produce, read_until, running_worker


def web_address(worker: subprocess.Popen[str]) -> tuple[str, int]:
    """Read the worker's log up to the line that names its web address."""
    for line in worker.stdout or ():
        if found := re.search(r"/metrics on http://([\d.]+):(\d+)", line):
            return found[1], int(found[2])
    raise AssertionError("the worker ended without serving its metrics")


def get(address: tuple[str, int], path: str) -> str:
    connection = HTTPConnection(*address, timeout=PATIENCE_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_a_running_worker_tells_its_counts_and_that_nothing_is_left_to_do(
    fresh_topics: Settings, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    repeated = keyed(event("e1"))
    produce(fresh_topics, [keyed(event("e0")), repeated, repeated, (b"ann", b"{")])
    with running_worker(fresh_topics, tmp_path) as worker:
        address = web_address(worker)
        read_until(fresh_topics, fresh_topics.dead_letters_topic, bool)
        deadline_s = time.monotonic() + PATIENCE_S
        while "foreclick_predictions_total 2.0" not in (said := get(address, "/metrics")):
            assert time.monotonic() < deadline_s, said
        assert "foreclick_duplicate_events_total 1.0" in said
        assert f"foreclick_owned_partitions {fresh_topics.partitions}.0" in said
        assert 'foreclick_lag_offsets{partition="0"} 0.0' in said
        assert msgspec.json.decode(get(address, "/ready")) == {
            "partitions": list(range(fresh_topics.partitions))
        }
