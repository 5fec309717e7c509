"""Killing the worker at seeded random moments of the replay."""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST_DELAY_S: Final = 0.03
_LOOK_INTERVAL_S: Final = 0.001
_PATIENCE_S: Final = 30.0


@dataclass(frozen=True)
class KillMoment:
    """When a kill is due.

    ``published`` events are on their way. Of those that had not ended when the worker's life began, the
    share ``of_backlog`` has ended; ``delay_s`` later the kill hits.
    """

    published: int
    of_backlog: float
    delay_s: float


@dataclass(frozen=True)
class Kill:
    """A kill that was made when the reader had seen ``at_event`` of the ``published`` events end."""

    at_event: int
    published: int

    def as_fields(self) -> dict[str, Any]:
        """Return the numbers under their names, ready for JSON."""
        return asdict(self)


class Progress(Protocol):
    """Whoever knows how many source records have been seen to end."""

    def __len__(self) -> int: ...

    def check(self) -> None:
        """Raise when nobody can know any more."""


class Killable(Protocol):
    """A worker under a supervisor."""

    def kill(self) -> None:
        """Kill it with SIGKILL."""

    def check(self) -> None:
        """Raise when it keeps dying by itself."""


def kill_moments(kills: int, seed: int, events: int) -> list[KillMoment]:
    """Return ``kills`` moments of a replay of ``events``, in order; the same seed gives the same ones."""
    random_numbers = random.Random(seed)
    at = sorted(random_numbers.random() for _ in range(kills))
    return [
        KillMoment(
            max(1, round(share * events)),
            random_numbers.uniform(0, 0.9),
            random_numbers.uniform(0, _LONGEST_DELAY_S),
        )
        for share in at
    ]


class KillSchedule:
    """Holds the replay up at each moment until the worker is killed there.

    What is published between two moments waits in the topic for the next worker, so kills hit one that is
    busy. Where progress stops for `_PATIENCE_S`, for lack of work, the moment counts as reached.
    """

    def __init__(self, moments: Sequence[KillMoment], worker: Killable, progress: Progress) -> None:
        self.made: list[Kill] = []
        self._pending = list(moments)
        self._worker = worker
        self._progress = progress
        self._begun_at = 0

    def before_next(self, published: int) -> None:
        """Make the kills that are due once ``published`` events are on their way."""
        while self._pending and self._pending[0].published <= published:
            moment = self._pending.pop(0)
            self._await(self._begun_at + moment.of_backlog * (published - self._begun_at))
            time.sleep(moment.delay_s)
            self._worker.kill()
            self._begun_at = len(self._progress)
            self.made.append(Kill(self._begun_at, published))

    def _await(self, wanted: float) -> None:
        """Wait until more than ``wanted`` records have been seen to end, some of them in this life."""
        seen, changed_s = len(self._progress), time.monotonic()
        while seen <= wanted and time.monotonic() - changed_s < _PATIENCE_S:
            time.sleep(_LOOK_INTERVAL_S)
            self._worker.check()
            self._progress.check()
            if len(self._progress) > seen:
                seen, changed_s = len(self._progress), time.monotonic()
