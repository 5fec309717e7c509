"""The producer of a round: a real `foreclick replay` in a child process, and malformed records beside it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import IO, Any, Final, Self, cast

import msgspec
from confluent_kafka import Producer

from benchmarks.support.faults.shop import START_MS
from foreclick.demo.worker_process import worker_environment
from foreclick.services import guard
from foreclick.settings import Settings
from producers.checkpoint import Checkpoint
from producers.events import Event, EventType
from producers.publisher import CLIENT_DEFAULTS
from producers.simulator.malformed import MALFORMED

_STOP_TIMEOUT_S: Final = 60.0
_MALFORMED_INTERVAL_S: Final = 0.25


class Feed:
    """Replays a log at a fixed rate with a checkpoint, so that it may be killed and go on.

    Use it as a context manager. ``resumed`` counts how often it went on after a kill.
    """

    def __init__(self, settings: Settings, log: Path, rate: float, directory: Path) -> None:
        self.resumed = 0
        self._settings = settings
        self._checkpoint = directory / "checkpoint.json"
        self._words_file = directory / "feed.log"
        self._environment = worker_environment(settings, os.environ)
        self._command = [
            *(sys.executable, "-m", "foreclick", "replay", str(log), "--format", "jsonl"),
            *("--rate", str(rate), "--checkpoint", str(self._checkpoint), "--resume", "--json"),
        ]
        self._guard: subprocess.Popen[bytes] | None = None
        self._process_id = 0
        self._words: IO[Any] | None = None
        self._malformed = _Malformed(settings)

    def __enter__(self) -> Self:
        self._words = self._words_file.open("ab")
        self._start()
        self._malformed.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill what still runs."""
        self._malformed.stop()
        self._end(signal.SIGKILL)
        if self._words is not None:
            self._words.close()

    def kill_and_resume(self) -> int:
        """Kill the producer with SIGKILL and start it again from its checkpoint; return the exit code."""
        code = self._end(signal.SIGKILL)
        self._start()
        self.resumed += 1
        return code

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Send nothing within the block: all that was sent before is acknowledged, as the checkpoint says."""
        self.finish()
        try:
            yield
        finally:
            self._malformed = _Malformed(self._settings)
            self._start()
            self._malformed.start()

    def check(self) -> None:
        """Raise RuntimeError when the producer has ended by itself: nothing can recover without it."""
        if self._guard is not None and self._guard.poll() is not None:
            raise self._ended(self._guard.returncode)

    def finish(self) -> int:
        """Stop in order; return how many lines of the log are done and acknowledged.

        Raises RuntimeError when the producer says that records were not delivered.
        """
        self._malformed.stop()
        code = self._end(signal.SIGTERM)
        if code not in (0, 130):
            raise self._ended(code)
        return self.lines_done()

    def _ended(self, code: int) -> RuntimeError:
        words = self._words_file.read_text(errors="replace").splitlines()[-5:]
        return RuntimeError(f"the producer ended with {code}: " + " | ".join(words))

    def lines_done(self) -> int:
        """Return how many lines of the log the checkpoint says are done."""
        try:
            return msgspec.json.decode(self._checkpoint.read_bytes(), type=Checkpoint).position.lines
        except OSError:
            return 0

    def _start(self) -> None:
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, "-", *self._command],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            start_new_session=True,
        )
        self._process_id = int(cast("IO[bytes]", self._guard.stdout).readline() or 0)

    def _end(self, number: signal.Signals) -> int:
        """Send a signal to the producer, and return its exit code, 128 and more for a signal's."""
        if self._guard is None:
            return 0
        with self._guard as ending, contextlib.suppress(ProcessLookupError):
            if ending.poll() is None and self._process_id:
                os.kill(self._process_id, number)
            return ending.wait(_STOP_TIMEOUT_S)
        return 0


class _Malformed:
    """Sends a record that is no event now and then, in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.events_topic
        self._producer = Producer(
            {"bootstrap.servers": settings.kafka, **CLIENT_DEFAULTS, "error_cb": lambda _error: None}
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._send, name="malformed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._stopped.set()
            self._thread.join()
            self._producer.flush(_STOP_TIMEOUT_S)

    def _send(self) -> None:
        records = _malformed_records()
        while not self._stopped.wait(_MALFORMED_INTERVAL_S):
            key, value = next(records)
            self._producer.produce(self._topic, value, key)
            self._producer.poll(0)


def _malformed_records() -> Iterator[tuple[bytes | None, bytes | None]]:
    event = Event(
        event_id="malformed",
        user_id="malformed",
        event_type=EventType.VIEW,
        event_time_ms=START_MS,
        item_id="item",
    )
    small = [way for way in MALFORMED if len(way.record(event)[1] or b"") < 10_000]
    for way in cycle(small):
        yield way.record(event)
