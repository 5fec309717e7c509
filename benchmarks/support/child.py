"""Programs that a benchmark runs beside itself; none of them outlives it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Self, cast

import psutil

from foreclick.services import guard

REPOSITORY = Path(__file__).parents[2]
LAST_LINES = 15
LOOK_INTERVAL_S = 0.02


class ChildDied(Exception):
    """A program ended by itself; the message has its last words."""


class Child:
    """A program under the guard of `foreclick.services`, with its output in a file. A context manager."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        self._command = [sys.executable, "-I", "-S", guard.__file__, "-", *command]
        self._log = log
        self._environment = dict(os.environ if environment is None else environment)
        self._directory = directory
        self.pid = 0

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._guard = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._directory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self.pid = int(cast("IO[bytes]", self._guard.stdout).readline() or 0)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        return self._guard.poll() is None

    def stop(self) -> None:
        """End the program, by force if it does not heed the order."""
        pipe = cast("IO[bytes]", self._guard.stdin)
        with suppress(BrokenPipeError, ValueError):
            pipe.write(guard.STOP)
            pipe.flush()
        self._guard.wait()
        with suppress(BrokenPipeError):
            pipe.close()
        cast("IO[bytes]", self._guard.stdout).close()

    def check(self) -> None:
        """Raise `ChildDied` if the program has ended by itself."""
        if not self.running:
            raise ChildDied(f"{self._command[5:8]} ended by itself:\n{self.last_words()}")

    def wait(self, timeout_s: float) -> None:
        """Wait until the program has ended. Raises TimeoutError."""
        deadline_s = time.monotonic() + timeout_s
        while self.running:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{self._command[5:8]} did not end in {timeout_s:g} s")
            time.sleep(LOOK_INTERVAL_S)

    def said(self) -> list[str]:
        """Return the lines that the program has written."""
        return self._log.read_text(errors="replace").splitlines() if self._log.exists() else []

    def last_words(self) -> str:
        return "\n".join(self.said()[-LAST_LINES:])

    def cpu_s(self) -> float:
        """Return the CPU time of all its threads and children, in seconds."""
        return cpu_s(self.pid)

    def rss_bytes(self) -> int:
        """Return the resident memory of the program itself."""
        return int(psutil.Process(self.pid).memory_info().rss)


def cpu_s(process_id: int) -> float:
    """Return the CPU time of a process, all its threads, and its children, in seconds."""
    process = psutil.Process(process_id)
    times = process.cpu_times()
    spent = float(times.user + times.system + times.children_user + times.children_system)
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            now = child.cpu_times()
            spent += now.user + now.system
    return spent
