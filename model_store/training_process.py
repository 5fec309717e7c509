"""One more process of a training run: `python -m model_store.training_process`, started by `process_group`.

It reads what to do as a line of JSON from standard input, and ends when that is closed: with the process
that started it, however that ends.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from model_store.errors import ModelStoreError
from model_store.training_settings import TrainingSettings

if TYPE_CHECKING:
    from model_store.checkpoint import EpochReport


class Task(msgspec.Struct, frozen=True):
    """What process ``number`` of those at ``addresses`` is to do: learn from the table in ``table``."""

    addresses: list[str]
    number: int
    table: str
    settings: TrainingSettings
    work_directory: str
    resume: bool


class _Silent:
    """Progress that the first process shows for all."""

    def batch(self, stage: str, epoch: int, most_epochs: int, share_done: float) -> None:
        """Show nothing."""

    def epoch(self, report: EpochReport) -> None:
        """Show nothing."""


def main() -> None:
    """Take part in a run, then wait for its end."""
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    end = threading.Thread(target=_end_with_input)
    end.start()
    from model_store.distribution import Workers
    from model_store.tables import StoredTable
    from model_store.training import join_training

    together = Workers(task.addresses, task.number)
    with suppress(ModelStoreError):  # the first process meets the same, and tells it
        join_training(
            StoredTable.open(Path(task.table)),
            task.settings,
            _Silent(),
            work_directory=Path(task.work_directory),
            resume=task.resume,
            together=together,
        )
    end.join()


def _end_with_input() -> None:
    """End the process, whatever it does, once the one that started it has closed its input or died."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
