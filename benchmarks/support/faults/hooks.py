"""What the bench can make a worker of its own do, from outside, at a chosen point of a batch's life.

The bench writes an order into the worker's control directory; the worker takes it at the next batch that
passes the point. Nothing of this is in the product: `benchmarks.support.faults.worker` wraps its parts.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any, Final, Literal

CONTROL_VARIABLE: Final = "FAULT_BENCH_CONTROL"
SABOTAGE_VARIABLE: Final = "FAULT_BENCH_SABOTAGE"
ACK_FIRST: Final = "ack first"
WRITE_FIRST: Final = "write first"
NO_GUARANTEES: Final = "no guarantees"

Action = Literal["kill", "stop", "hold"]

# The points of a batch's life, by the step of `streamer.pipeline` that they end, or stand within.
POINTS: Final = {
    "fetched": 1,
    "decoded": 2,
    "read": 3,
    "windowed": 4,
    "scored": 5,
    "publishing": 6,
    "published": 7,
    "written": 8,
}
_HOLD_INTERVAL_S: Final = 0.01


class Control:
    """A worker's control directory, as both sides use it."""

    def __init__(self, directory: Path) -> None:
        self._order = directory / "order"
        self._taken = directory / "taken"
        self._release = directory / "release"
        self._refusals = directory / "refusals"
        self._clock = directory / "clock"
        self._tasks = directory / "tasks"
        self._told_s = 0.0
        self._directory = directory

    def arm(self, point: str, action: Action) -> None:
        """Order ``action`` at the next batch that comes to ``point``."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._release.unlink(missing_ok=True)
        self._taken.unlink(missing_ok=True)
        draft = self._order.with_suffix(".draft")
        draft.write_text(json.dumps({"point": point, "action": action}))
        draft.replace(self._order)

    def disarm(self) -> None:
        """Take an order back that nobody has taken."""
        self._order.unlink(missing_ok=True)

    def taken_by(self) -> int | None:
        """Return the id of the process that took the last order; None before."""
        try:
            return int(self._taken.read_text())
        except (OSError, ValueError):
            return None

    def release(self) -> None:
        """Let a worker that is held go on."""
        self._release.touch()

    def refusals(self) -> list[dict[str, Any]]:
        """Return the writes that Redis refused this worker, oldest first."""
        try:
            return [json.loads(line) for line in self._refusals.read_text().splitlines()]
        except OSError:
            return []

    def set_clock_back(self, by_ms: int) -> None:
        """Set the worker's clock back by ``by_ms`` from its next look on; 0 puts it right."""
        self._directory.mkdir(parents=True, exist_ok=True)
        draft = self._clock.with_suffix(".draft")
        draft.write_text(str(by_ms))
        draft.replace(self._clock)

    def tasks(self) -> int:
        """Return how many tasks the worker's event loop had when it last told; 0 before."""
        try:
            return int(self._tasks.read_text() or 0)
        except OSError:
            return 0

    def note_tasks(self, count: int) -> None:
        """Worker's side: tell of the tasks, about once a second."""
        if (now_s := time.monotonic()) - self._told_s > 1:
            self._told_s = now_s
            self._tasks.write_text(str(count))

    def note_refusal(self, partition: int, expected: int | None, actual: int | None) -> None:
        """Worker's side: note that a write was refused."""
        line = json.dumps(
            {"pid": os.getpid(), "partition": partition, "expected": expected, "actual": actual}
        )
        with self._refusals.open("a") as file:
            file.write(line + "\n")

    def now_ms(self) -> int:
        """Worker's side: Unix time in milliseconds by the clock that may stand wrong."""
        back_ms = int(self._clock.read_text()) if self._clock.exists() else 0
        return time.time_ns() // 1_000_000 - back_ms

    def pass_point(self, point: str) -> None:
        """Worker's side: carry out the order if it is for ``point``. A held worker stands still here."""
        action = self._take(point)
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif action == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif action == "hold":
            while not self._release.exists():
                time.sleep(_HOLD_INTERVAL_S)
            os.kill(os.getpid(), signal.SIGKILL)

    def _take(self, point: str) -> str | None:
        if not self._order.exists():
            return None
        order = json.loads(self._order.read_text())
        if order["point"] != point:
            return None
        draft = self._taken.with_suffix(".draft")
        draft.write_text(str(os.getpid()))
        draft.replace(self._taken)
        self._order.unlink()
        action: str = order["action"]
        return action
