"""One embedded service: a child process under a guard, with a port, a directory and a log."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final

from foreclick.errors import DiskFull, PortTaken, ServiceError
from foreclick.services import guard

LOOPBACK: Final = "127.0.0.1"
# Below the range that Linux gives to outgoing connections: while a service is down, a client that tries to
# reach it could otherwise be given the service's own port, and keep it from coming back.
FREE_PORTS: Final = range(20_000, 32_000)
LEAST_FREE_BYTES: Final = 256 * 2**20
START_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = guard.GRACE_S + 5.0
POLL_S: Final = 0.02
LOG_TAIL_BYTES: Final = 20_000
# All that a service needs of our environment; passwords in ours stay ours.
KEPT_VARIABLES: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


class ServiceProcess(ABC):
    """A server on loopback that lives no longer than this process.

    ``directory`` is the service's own and outlives a `stop` or `kill`, so the next `start` goes on with the
    same data on the same port. With ``temporary`` it is removed when this process dies without stopping the
    service. ``variables`` are what the server's environment has beside `KEPT_VARIABLES`.
    """

    title: str
    port_option: str
    variables: Mapping[str, str] = MappingProxyType({})

    def __init__(self, directory: Path, port: int, *, temporary: bool) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.log_path = directory / "service.log"
        self.pid = 0
        self._temporary = temporary
        self._guard: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Prepare the directory and give the command that runs the server in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Tell whether the server answers requests now."""

    @property
    def running(self) -> bool:
        """Whether the process is alive; it may not answer yet."""
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> None:
        """Start the server and return when it answers.

        Raises `PortTaken`, `DiskFull`, `ForeignData`, `DownloadMissing`, or `ServiceError` with the server's
        last words. Nothing is left running then.
        """
        if self.running:
            raise ServiceError(f"{self.title} is running already; stop it first")
        require_free_port(self.port, self.title, self.port_option)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            require_free_disk(self.directory, self.title)
            with (self.directory / "lock").open("wb") as lock:
                self._take(lock)
                self._spawn(self.command(), lock)
        except OSError as error:
            raise ServiceError(f"cannot start {self.title} in {self.directory}: {error.strerror}") from error
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End the server in order, by force after `guard.GRACE_S`; does nothing when it is down."""
        self._order(guard.STOP)

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would; does nothing when it is down."""
        self._order(guard.KILL)

    def last_words(self) -> str:
        """Give the last error in the server's log, or its last line."""
        if not self.log_path.is_file():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_path.stat().st_size - LOG_TAIL_BYTES))
            return telling_line(log.read().decode("utf-8", "replace"))

    def _take(self, lock: IO[bytes]) -> None:
        """Take the directory; the guard inherits the lock and holds it until the server has ended."""
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServiceError(
                f"another {self.title} runs on {self.directory}; stop it or name another with --data"
            ) from error

    def _spawn(self, command: Sequence[str], lock: IO[bytes]) -> None:
        self.log_path.unlink(missing_ok=True)
        doomed = str(self.directory) if self._temporary else "-"
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        environment |= self.variables
        with self.log_path.open("wb") as log:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, doomed, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.directory,
                env=environment,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
        self.pid = int(_pipe(self._guard.stdout).readline() or 0)

    def _wait_until_it_answers(self) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not self.answers():
            if not self.running:
                raise self.end_error("ended at its start")
            if time.monotonic() > deadline_s:
                raise ServiceError(
                    f"{self.title} did not answer within {START_TIMEOUT_S:g} s; its log is {self.log_path}"
                )
            time.sleep(POLL_S)

    def end_error(self, what: str) -> ServiceError:
        """Give the error for a server that ended without an order; ``what`` is as in "ended by itself"."""
        words = self.last_words()
        if "No space left on device" in words:
            return _disk_full(self.directory, self.title)
        if "Address already in use" in words:
            return _port_taken(self.port, self.title, self.port_option)
        return ServiceError(f"{self.title} {what}: {words or 'it said nothing'} (in {self.log_path})")

    def _order(self, letter: bytes) -> None:
        if self._guard is None:
            return
        process, self._guard = self._guard, None
        with contextlib.suppress(BrokenPipeError):
            os.write(_pipe(process.stdin).fileno(), letter)
        process.wait(STOP_TIMEOUT_S)
        _pipe(process.stdin).close()
        _pipe(process.stdout).close()


def telling_line(log: str) -> str:
    """Give the last line of a Java or Valkey log that speaks of an error, or its last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if " ERROR " in line or " # " in line or "Exception:" in line]
    return next(reversed(errors or lines), "")


def free_port() -> int:
    """Give a loopback port on which nothing listens now."""
    # Training seeds the common generator: two demos of one seed would choose the same ports.
    for port in random.SystemRandom().sample(FREE_PORTS, k=200):
        if _is_free(port):
            return port
    raise ServiceError(f"no free port of {LOOPBACK} found between {FREE_PORTS.start} and {FREE_PORTS.stop}")


def require_free_port(port: int, title: str, option: str) -> None:
    """Raise `PortTaken` when something listens on the port."""
    if not _is_free(port):
        raise _port_taken(port, title, option)


def require_free_disk(directory: Path, title: str, least_bytes: int = LEAST_FREE_BYTES) -> None:
    """Raise `DiskFull` when the disk of an existing directory has less than ``least_bytes`` left."""
    if shutil.disk_usage(directory).free < least_bytes:
        raise _disk_full(directory, title)


def _port_taken(port: int, title: str, option: str) -> PortTaken:
    return PortTaken(
        f"port {port} of {LOOPBACK}, meant for {title}, is taken; "
        f"end the program that listens there or choose another with {option}"
    )


def _disk_full(directory: Path, title: str) -> DiskFull:
    return DiskFull(
        f"{title} needs {LEAST_FREE_BYTES // 2**20} MB of free disk under {directory}; "
        "free some or name another directory with --data"
    )


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ServiceError("the guard was started without a pipe")
    return pipe
