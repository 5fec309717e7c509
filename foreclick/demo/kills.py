"""Killing the worker at seeded random moments of the replay."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from producers.events import Event

_LONGEST_DELAY_S: Final = 0.03
_LOOK_INTERVAL_S: Final = 0.001
_PATIENCE_S: Final = 30.0


@dataclass(frozen=True)
class KillMoment:
    """When a kill is due.

    ``published`` events are on their way, and of those that the worker had not ended when its life began
    it has ended the share ``of_backlog``; ``delay_s`` later the kill hits.
    """

    published: int
    of_backlog: float
    delay_s: float


@dataclass(frozen=True)
class Kill:
    """A kill that was made: ``published`` events were sent, ``accounted`` of them had been seen to end."""

    published: int
    accounted: int

    def as_fields(self) -> dict[str, Any]:
        """Return the numbers under their names, ready for JSON."""
        return {"at_event": self.published, "accounted_then": self.accounted}


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
            random_numbers.random(),
            random_numbers.random() * _LONGEST_DELAY_S,
        )
        for share in at
    ]


def with_kills(
    events: Iterable[Event],
    moments: Sequence[KillMoment],
    worker: Killable,
    progress: Progress,
    made: list[Kill],
) -> Iterator[Event]:
    """Yield ``events``, but stop at each moment until the worker is killed there; ``made`` gets each kill.

    The events up to the next moment wait in the topic when the next worker comes up, so every kill
    but one at rest hits a worker that is busy. A moment that is not reached for `_PATIENCE_S`
    without progress, for lack of work, is taken as reached.
    """
    pending = list(moments)
    begun_at = 0
    for published, event in enumerate(events):
        while pending and pending[0].published <= published:
            moment = pending.pop(0)
            _await_progress(begun_at + moment.of_backlog * (published - begun_at), worker, progress)
            time.sleep(moment.delay_s)
            worker.kill()
            begun_at = len(progress)
            made.append(Kill(published, begun_at))
        yield event


def _await_progress(wanted: float, worker: Killable, progress: Progress) -> None:
    seen, changed_s = len(progress), time.monotonic()
    while seen < wanted and time.monotonic() - changed_s < _PATIENCE_S:
        time.sleep(_LOOK_INTERVAL_S)
        worker.check()
        progress.check()
        if len(progress) > seen:
            seen, changed_s = len(progress), time.monotonic()
