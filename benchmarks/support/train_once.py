"""One training from a CSV, in a process of its own, so that its peak of memory is its own.

`python -m benchmarks.support.train_once LOG DIRECTORY`; the last line is JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from foreclick.quiet import importing_tensorflow
from foreclick.settings import Settings
from model_store.artifacts import ModelStore
from model_store.tables import StoredTable, build_table
from model_store.training_settings import TrainingSettings
from producers.readers import ReadEvent, read_log

if TYPE_CHECKING:
    from model_store.checkpoint import EpochReport

_SAID_EVERY_S = 10.0


class Moment(NamedTuple):
    """The seconds that have passed on the wall, and those that all threads of this process have computed."""

    wall_s: float
    cpu_s: float

    @classmethod
    def now(cls) -> Moment:
        """Return this moment."""
        return cls(time.monotonic(), time.process_time())

    def since(self, before: Moment) -> dict[str, float]:
        """Return both seconds between ``before`` and this moment, by name."""
        return {"wall_s": self.wall_s - before.wall_s, "cpu_s": self.cpu_s - before.cpu_s}


class Stopwatch:
    """Notes when the first and the last batch of the run were learned."""

    def __init__(self) -> None:
        self.first = self.last = Moment.now()
        self._said_s = self.last.wall_s
        self.begun = False

    def batch(self, stage: str, epoch: int, most_epochs: int, share_done: float) -> None:
        self.last = Moment.now()
        if not self.begun:
            self.begun, self.first = True, self.last
        if self.last.wall_s - self._said_s > _SAID_EVERY_S:
            self._said_s = self.last.wall_s
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
    begun = Moment.now()
    table = read_table(log, directory / "table")
    read = Moment.now()
    say(f"  {len(table):,} events in a table after {read.wall_s - begun.wall_s:.1f} s")
    settings = TrainingSettings(window_size=Settings().window_size, most_epochs=1, refit=False)
    watch = Stopwatch()
    store = ModelStore(directory / "models")
    train_table(table, settings, store, "gru", watch, work_directory=directory)
    done = Moment.now()
    result = {
        "events": len(table),
        "items": len(table.item_ids),
        "stages": {
            "read": read.since(begun),
            "prepare": watch.first.since(read),
            "learn": watch.last.since(watch.first),
            "measure_and_publish": done.since(watch.last),
        },
        "total": done.since(begun),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
