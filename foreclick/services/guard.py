"""A small process between us and a service, so that the service never outlives us, however we die.

We hold the write end of the guard's standard input. When we are gone, even by SIGKILL, the guard reads
the end of it and ends the service. On Linux the kernel also ends the service if the guard itself is killed.
The guard runs on its own (`python -I -S guard.py DIRECTORY COMMAND…`), imports nothing of foreclick, and
leads a session of its own, so a Ctrl-C in our terminal reaches neither it nor the service.

It prints the service's process id, obeys one letter (`S` stop, `K` kill), and exits when the service has.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
STOP: Final = b"S"
KILL: Final = b"K"
GRACE_S: Final = 8.0
POLL_S: Final = 0.25


def main() -> int:
    """Run the command in ``sys.argv[2:]``.

    ``sys.argv[1]`` names a directory to remove when the parent is gone without an order, or is ``-``.
    """
    parent, guard = os.getppid(), os.getpid()
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    service = subprocess.Popen(
        sys.argv[2:], stdin=subprocess.DEVNULL, stdout=sys.stderr, preexec_fn=lambda: _die_with(guard)
    )
    with contextlib.suppress(BrokenPipeError):
        os.write(1, b"%d\n" % service.pid)
    order = _wait_for_order(service, parent)
    if order == STOP:
        _stop(service)
    else:
        service.kill()
    status = service.wait()
    if not order and sys.argv[1] != "-":
        _remove(Path(sys.argv[1]))
    return status if status >= 0 else 128 - status


def _remove(directory: Path) -> None:
    """Remove the service's directory, and the one around it when no other service is in there any more."""
    shutil.rmtree(directory, ignore_errors=True)
    with contextlib.suppress(OSError):
        directory.parent.rmdir()


def _die_with(guard: int) -> None:
    """Run in the service before its program starts: heed signals again, and end when the guard ends."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(1)


def _wait_for_order(service: subprocess.Popen[bytes], parent: int) -> bytes:
    """Give the parent's letter, or nothing when the parent is gone; `STOP` when the service ended by itself.

    The parent's id is looked at too: a child that it forked may hold the pipe open after its death.
    """
    while service.poll() is None:
        if select.select([0], [], [], POLL_S)[0]:
            return os.read(0, 1)
        if os.getppid() != parent:
            return b""
    return STOP


def _stop(service: subprocess.Popen[bytes]) -> None:
    service.terminate()
    try:
        service.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        service.kill()


if __name__ == "__main__":
    sys.exit(main())
