"""One training from a CSV, in a process of its own, so that its peak of memory is its own.

`python -m benchmarks.support.train_once LOG DIRECTORY`; the last line is JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from foreclick.quiet import importing_tensorflow
from foreclick.settings import Settings
from model_store.artifacts import ModelStore
from model_store.tables import StoredTable, build_table
from model_store.training_settings import TrainingSettings
from producers.readers import ReadEvent, read_log

if TYPE_CHECKING:
    from model_store.checkpoint import EpochReport

_SAID_EVERY_S = 10.0


class Stopwatch:
    """Notes when the first and the last batch of the run were learned."""

    def __init__(self) -> None:
        self.first_s = self.last_s = self._said_s = time.monotonic()
        self.begun = False

    def batch(self, stage: str, epoch: int, most_epochs: int, share_done: float) -> None:
        self.last_s = time.monotonic()
        if not self.begun:
            self.begun, self.first_s = True, self.last_s
        if self.last_s - self._said_s > _SAID_EVERY_S:
            self._said_s = self.last_s
            say(f"  {stage}, epoch {epoch} of {most_epochs}: {share_done:.0%}")

    def epoch(self, report: EpochReport) -> None:
        say(f"  {report}")


def say(text: str) -> None:
    """Tell on standard error."""
    print(text, file=sys.stderr, flush=True)


def read_table(log: Path, directory: Path) -> StoredTable:
    """Return the table of a CSV in the contract's own columns."""
    lines = read_log(log, "csv")
    return build_table((line.event for line in lines if isinstance(line, ReadEvent)), directory)


def peak_memory_bytes() -> int:
    """Return the largest resident set that this process has had, mapped files included."""
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1_024


def main() -> None:
    """Train one epoch with the product's defaults, and say what each stage took."""
    log, directory = Path(sys.argv[1]), Path(sys.argv[2])
    with importing_tensorflow():
        from model_store.training import train_table
    begun_s = time.monotonic()
    table = read_table(log, directory / "table")
    read_s = time.monotonic()
    say(f"  {len(table):,} events in a table after {read_s - begun_s:.1f} s")
    settings = TrainingSettings(window_size=Settings().window_size, most_epochs=1, refit=False)
    watch = Stopwatch()
    store = ModelStore(directory / "models")
    train_table(table, settings, store, "gru", watch, work_directory=directory)
    done_s = time.monotonic()
    stages_s = {
        "read": read_s - begun_s,
        "prepare": watch.first_s - read_s,
        "learn": watch.last_s - watch.first_s,
        "measure_and_publish": done_s - watch.last_s,
    }
    result = {
        "events": len(table),
        "items": len(table.item_ids),
        "stages_s": stages_s,
        "total_s": done_s - begun_s,
        "peak_memory_bytes": peak_memory_bytes(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
