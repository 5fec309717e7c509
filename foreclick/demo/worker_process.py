"""A real `foreclick worker` in a child process that never outlives the demo and is restarted when it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Final, Self, cast

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from foreclick.checking.topics import QUIET
from foreclick.errors import DemoError
from foreclick.services import guard
from foreclick.settings import Settings, confluent_settings
from foreclick.settings_sources import ENVIRONMENT_PREFIX, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOOK_INTERVAL_S: Final = 0.02
_READY_TIMEOUT_S: Final = 90.0
_READY_INTERVAL_S: Final = 0.1
_REQUEST_TIMEOUT_S: Final = 2.0  # a new broker has no coordinator at first, and lets a request wait for one
_MOST_DEATHS_UNASKED: Final = 3
_LOG_LINES_SHOWN: Final = 12


def worker_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which a worker has exactly ``settings``."""
    kept = {name: value for name, value in environment.items() if not name.startswith(ENVIRONMENT_PREFIX)}
    values = {row.name: getattr(settings, row.name) for row in fields(settings)}
    given = {SETTINGS[name].variable: str(value) for name, value in values.items() if value not in (None, "")}
    return kept | given


class WorkerProcess:
    """One worker under a supervisor: started again at once whenever it dies, until the context ends.

    The worker stands under the guard of `foreclick.services`, so it does not outlive the demo.
    """

    def __init__(self, settings: Settings, log_file: Path, doomed: Path | None = None) -> None:
        """Take the worker's settings and the file for its log.

        ``doomed`` is a directory to remove if the demo dies without an end of its own.
        """
        self.peak_rss_bytes = 0
        self._settings = settings
        self._environment = worker_environment(settings, os.environ) | {"TMPDIR": str(log_file.parent)}
        self._log_file = log_file
        self._doomed = "-" if doomed is None else str(doomed)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._worker_id = 0
        self._killed = 0
        self._deaths = 0
        self._thread = threading.Thread(target=self._supervise, name="demo-supervisor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def kill(self) -> None:
        """Kill the worker with SIGKILL; one that is just being started is waited for."""
        while not self._kill_now():
            self.check()
            time.sleep(_LOOK_INTERVAL_S)

    def _kill_now(self) -> bool:
        with self._lock:
            if not self._worker_id:
                return False
            self._killed += 1
            with suppress(ProcessLookupError):  # it has just died by itself
                os.kill(self._worker_id, signal.SIGKILL)
            self._worker_id = 0
            return True

    def check(self) -> None:
        """Raise `DemoError`, with the end of its log, when the worker keeps dying by itself."""
        unasked = self._deaths - self._killed
        if unasked >= _MOST_DEATHS_UNASKED:
            raise DemoError(f"the worker died {unasked} times by itself; its last words:\n{self._log_end()}")

    def wait_until_ready(self) -> None:
        """Return once the worker owns all partitions of its events. Raises `DemoError` if it never does."""
        security = confluent_settings(self._settings)
        admin = AdminClient({**security, **QUIET, "bootstrap.servers": self._settings.kafka})
        deadline_s = time.monotonic() + _READY_TIMEOUT_S
        while time.monotonic() < deadline_s:
            self.check()
            if self._partitions_owned(admin) == self._settings.partitions:
                return
            time.sleep(_READY_INTERVAL_S)
        raise DemoError(f"the worker got no partitions in {_READY_TIMEOUT_S:g} s:\n{self._log_end()}")

    def _partitions_owned(self, admin: AdminClient) -> int:
        group = self._settings.consumer_group
        try:
            description = admin.describe_consumer_groups([group], request_timeout=_REQUEST_TIMEOUT_S)[
                group
            ].result()
        except KafkaException:  # the group's coordinator is not up yet
            return 0
        return sum(
            partition.topic == self._settings.events_topic
            for member in description.members
            for partition in member.assignment.topic_partitions
        )

    def _supervise(self) -> None:
        with self._log_file.open("ab") as log:
            while not self._stopped.is_set():
                self._run_one(log)
                self._deaths += not self._stopped.is_set()

    def _run_one(self, log: BinaryIO) -> None:
        """Run one worker until it dies or the demo ends."""
        command = [sys.executable, "-m", "foreclick", "worker"]
        with subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, self._doomed, *command],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        ) as guarded:
            worker_id = int(cast("IO[bytes]", guarded.stdout).readline() or 0)
            with self._lock:
                self._worker_id = worker_id
            while guarded.poll() is None and not self._stopped.is_set():
                self.peak_rss_bytes = max(self.peak_rss_bytes, resident_bytes(worker_id))
                self._stopped.wait(_LOOK_INTERVAL_S)
            with self._lock:
                self._worker_id = 0
            if guarded.poll() is None:
                cast("IO[bytes]", guarded.stdin).write(guard.STOP)

    def _log_end(self) -> str:
        lines = self._log_file.read_text(errors="replace").splitlines() if self._log_file.exists() else []
        return "\n".join(lines[-_LOG_LINES_SHOWN:])


def resident_bytes(process_id: int) -> int:
    """Return the resident memory of a process in bytes; 0 where it is gone or the system has no /proc."""
    try:
        pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
