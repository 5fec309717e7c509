"""The processes of a training run on this machine: started together, ended together."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final

import msgspec

from model_store.distribution import Workers
from model_store.training_process import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from model_store.tables import StoredTable
    from model_store.training_settings import TrainingSettings

_LOOPBACK: Final = "127.0.0.1"
_END_TIMEOUT_S: Final = 10.0
_SHOWN_BYTES: Final = 2_000


@contextmanager
def process_group(
    count: int,
    table: StoredTable,
    settings: TrainingSettings,
    work_directory: Path,
    *,
    resume: bool,
    died: Callable[[str], None],
) -> Iterator[Workers]:
    """Start ``count`` - 1 more processes for a run over ``table``, and yield this one's place among them.

    They are for `train_table` with the same arguments, and end with the context or with this process. Where
    one dies before, ``died`` is called from a thread with what to tell: it should end this process, which may
    wait in TensorFlow for ever. What they print goes to ``process-N.log`` in ``work_directory``.
    """
    addresses = _free_addresses(count)
    work_directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        ending = threading.Event()
        for number in range(1, count):
            log = work_directory / f"process-{number}.log"
            task = Task(
                addresses, number, str(table.directory), settings, str(work_directory.absolute()), resume
            )
            process = stack.enter_context(_started(task, log))
            arguments = (process, number, log, ending.is_set, died)
            stack.callback(ending.set)
            threading.Thread(target=watch, args=arguments, daemon=True).start()
        yield Workers(addresses, 0)


@contextmanager
def _started(task: Task, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run one process in the context. A session of its own keeps a Ctrl-C of the terminal from it."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "model_store.training_process"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        with suppress(BrokenPipeError):  # whoever watches the process will say that it is dead
            _input(process).write(msgspec.json.encode(task) + b"\n")
            _input(process).flush()
        yield process
    finally:
        with suppress(BrokenPipeError):
            _input(process).close()
        try:
            process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _input(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdin is None:
        raise ValueError("the process was started without an input of its own")
    return process.stdin


def watch(
    process: subprocess.Popen[bytes],
    number: int,
    log: Path,
    ending: Callable[[], bool],
    died: Callable[[str], None],
) -> None:
    """Wait for the end of ``process``, and tell it to ``died`` unless the group is ``ending``."""
    code = process.wait()
    if ending():
        return
    last = log.read_bytes()[-_SHOWN_BYTES:].decode(errors="replace").strip()
    died(
        f"process {number} of the training ended with {code}; --resume goes on from the last epoch. "
        f"The end of {log}:\n{last}"
    )


def _free_addresses(count: int) -> list[str]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((_LOOPBACK, 0))
        return [f"{_LOOPBACK}:{each.getsockname()[1]}" for each in sockets]
