"""The bench's workers: real processes under a supervisor, which can be killed, stopped, and told to leave."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final, Self, cast

import psutil

from benchmarks.support.faults.hooks import CONTROL_VARIABLE, SABOTAGE_VARIABLE, Control
from foreclick.demo.worker_process import worker_environment
from foreclick.services import guard
from foreclick.settings import Settings

_LOOK_INTERVAL_S: Final = 0.02
_RESTART_PAUSE_S: Final = 0.2
_LOG_LINES_SHOWN: Final = 15


class Worker:
    """One place for a worker, whose process is started again whenever it dies, until it is told to leave.

    ``name`` is its fixed name in the consumer group; empty for a worker without one. ``exits`` are the exit
    codes of the processes so far. The guard of `foreclick.services` sees to it that none outlives the bench.
    """

    def __init__(
        self, settings: Settings, directory: Path, name: str = "", sabotage: str = "", *, hooked: bool = True
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.control = Control(directory)
        self.log_file = directory / "worker.log"
        self.exits: list[int] = []
        self.process_id = 0
        options = ["--instance", name] if name else []
        program = ["benchmarks.support.faults.worker"] if hooked else ["foreclick", "worker"]
        self._command = [sys.executable, "-m", *program, *options]
        self._environment = worker_environment(settings, os.environ) | {
            CONTROL_VARIABLE: str(directory),
            SABOTAGE_VARIABLE: sabotage,
            "TMPDIR": str(directory),
        }
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Send SIGTERM, and return when the worker has ended; it is not started again."""
        self._stopped.set()
        self._thread.join()

    def send(self, number: signal.Signals) -> int:
        """Send a signal to the process that runs now; return its id, 0 where none runs."""
        process_id = self.process_id
        if process_id:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, number)
        return process_id

    def is_gone(self, process_id: int) -> bool:
        """Tell whether that process is no more."""
        return not psutil.pid_exists(process_id)

    def is_stopped(self, process_id: int) -> bool:
        """Tell whether that process is held by SIGSTOP."""
        try:
            return bool(psutil.Process(process_id).status() == psutil.STATUS_STOPPED)
        except psutil.NoSuchProcess:
            return False

    def usage(self) -> Mapping[str, int]:
        """Return the memory, open files, threads and tasks of the process that runs; empty without one."""
        try:
            process = psutil.Process(self.process_id)
            return {
                "rss_bytes": process.memory_info().rss,
                "open_files": process.num_fds(),
                "threads": process.num_threads(),
                "tasks": self.control.tasks(),
            }
        except psutil.Error:
            return {}

    def last_words(self) -> str:
        """Return the end of the log."""
        lines = self.log_file.read_text(errors="replace").splitlines() if self.log_file.exists() else []
        return "\n".join(lines[-_LOG_LINES_SHOWN:])

    def _supervise(self) -> None:
        with self.log_file.open("ab") as log:
            while not self._stopped.is_set():
                self._run_one(log)
                self._stopped.wait(_RESTART_PAUSE_S)

    def _run_one(self, log: IO[Any]) -> None:
        with subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, "-", *self._command],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        ) as guarded:
            self.process_id = int(cast("IO[bytes]", guarded.stdout).readline() or 0)
            while guarded.poll() is None and not self._stopped.is_set():
                self._stopped.wait(_LOOK_INTERVAL_S)
            if guarded.poll() is None:
                self.send(signal.SIGCONT)
                with contextlib.suppress(BrokenPipeError):
                    os.write(cast("IO[bytes]", guarded.stdin).fileno(), guard.STOP)
        self.process_id = 0
        self.exits.append(guarded.returncode)


def worker_settings(settings: Settings, kafka: str, redis_port: int) -> Settings:
    """Return ``settings`` with the servers' addresses as one worker is to see them."""
    return replace(settings, kafka=kafka, redis=f"redis://127.0.0.1:{redis_port}/0")
