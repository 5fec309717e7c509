"""Walking events through the window rule and a pipeline, in the way a worker does: one code for both.

Whether an event is dropped decides what stands in the window of the next one. Duplicate rules cost little
and go event by event. Where anomalies are dropped too, all users take their first event together, then their
second one, and so on, so that NumPy still sees many events at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.windows import ROW_BYTES, Rows, contains_event, inserted, row_time_ms

if TYPE_CHECKING:
    from model_store.cleaning.pipeline import Cleaning

KEPT: Final = 0
REPEATED: Final = 1  # the event's id stands in the window
LATE: Final = 2
DROPPED: Final = 3  # by a rule

Ints = npt.NDArray[np.int64]

_WINDOWS_AT_ONCE: Final = 8_192
_EVENTS_AT_ONCE: Final = 200_000


def _silent(_share_done: float) -> None:
    """Tell nobody."""


class Stream(NamedTuple):
    """A user's packed window, and the packed rows that come next, in their order."""

    window: bytes
    rows: Sequence[bytes]


class Sifted(NamedTuple):
    """What became of the events, stream after stream: ``outcome`` [E], `KEPT` and the like, and ``bits`` [E].

    Bit n is set where the event meets rule n.
    """

    outcome: npt.NDArray[np.int8]
    bits: npt.NDArray[np.int64]


@dataclass
class _Walk:
    """One stream on its way. ``at`` is the place of its first event among all."""

    rows: Sequence[bytes]
    at: int
    window: bytes
    done: int = 0


class Sieve:
    """Sifts events by ``cleaning`` and by the window rule.

    An event over ``allowed_lateness_ms`` behind its user's newest is late; None asks no such thing.
    """

    def __init__(self, cleaning: Cleaning, window_size: int, allowed_lateness_ms: int | None = None) -> None:
        self.cleaning = cleaning
        self.window_size = window_size
        self.allowed_lateness_ms = allowed_lateness_ms

    def sift(self, streams: Iterable[Stream]) -> Sifted:
        """Return what becomes of the events of ``streams``, each a user of its own."""
        walks, events = [], 0
        for window, rows in streams:
            walks.append(_Walk(rows, events, window))
            events += len(rows)
        outcome, bits = np.zeros(events, np.int8), np.zeros(events, np.int64)
        sifted = Sifted(outcome, bits)
        if self.cleaning.drops_by_judgement:
            self._in_rounds(walks, sifted)
        else:
            self._one_by_one(walks, sifted)
        return sifted

    def _one_by_one(self, walks: Sequence[_Walk], sifted: Sifted) -> None:
        waiting: list[tuple[int, bytes]] = []
        for walk in walks:
            for place, row in enumerate(walk.rows, walk.at):
                entered = self._enter(walk, row, place, sifted)
                if entered is None:
                    continue
                walk.window, seen = entered
                waiting.append((place, seen))
                if len(waiting) == _WINDOWS_AT_ONCE:
                    self._judge(waiting, sifted)
                    waiting.clear()
        self._judge(waiting, sifted)

    def _in_rounds(self, walks: Sequence[_Walk], sifted: Sifted) -> None:
        running = [walk for walk in walks if walk.rows]
        number = 0
        while running:
            for group in _slices(running):
                entered = []
                for walk in group:
                    place = walk.at + number
                    found = self._enter(walk, walk.rows[number], place, sifted)
                    if found is not None:
                        entered.append((walk, place, *found))
                self._judge([(place, seen) for _, place, _, seen in entered], sifted)
                for walk, place, window, _ in entered:
                    if int(sifted.bits[place]) & self.cleaning.dropping_bits:
                        sifted.outcome[place] = DROPPED
                    else:
                        walk.window = window
            number += 1
            running = [walk for walk in running if number < len(walk.rows)]

    def _enter(self, walk: _Walk, row: bytes, place: int, sifted: Sifted) -> tuple[bytes, bytes] | None:
        """Return the window with the event in it, and that window up to the event; None if it is out."""
        if contains_event(walk.window, row):
            sifted.outcome[place] = REPEATED
            return None
        if self._is_late(walk.window, row):
            sifted.outcome[place] = LATE
            return None
        window, at, _ = inserted(walk.window, row, self.window_size)
        twin = self.cleaning.twin(window, at)
        sifted.bits[place] = twin
        if twin & self.cleaning.dropping_bits:
            sifted.outcome[place] = DROPPED
            return None
        return window, window[: (at + 1) * ROW_BYTES]

    def _is_late(self, window: bytes, row: bytes) -> bool:
        if self.allowed_lateness_ms is None or not window:
            return False
        newest_ms = row_time_ms(window, len(window) // ROW_BYTES - 1)
        return row_time_ms(row, 0) < newest_ms - self.allowed_lateness_ms

    def _judge(self, waiting: Sequence[tuple[int, bytes]], sifted: Sifted) -> None:
        places = np.fromiter((place for place, _ in waiting), np.int64, len(waiting))
        sifted.bits[places] |= self.cleaning.judge([seen for _, seen in waiting])


def sift_rows(sieve: Sieve, rows: Rows, user: Ints, report: Callable[[float], None] = _silent) -> Sifted:
    """Return what becomes of ``rows`` [E], in order of ``user`` [E] and then of time.

    Goes some users at a time, so that memory does not follow the log; ``report`` is told the share done.
    """
    if not len(rows):
        return sieve.sift([])
    starts = np.flatnonzero(np.diff(user, prepend=-1))
    first_of_block = np.searchsorted(starts, np.arange(0, len(rows), _EVENTS_AT_ONCE))
    cuts = np.unique(np.append(starts[np.minimum(first_of_block, len(starts) - 1)], len(rows)))
    outcome, bits = np.zeros(len(rows), np.int8), np.zeros(len(rows), np.int64)
    for start, end in pairwise(cuts.tolist()):
        outcome[start:end], bits[start:end] = sieve.sift(streams_of(rows[start:end], user[start:end]))
        report(end / len(rows))
    return Sifted(outcome, bits)


def streams_of(rows: Rows, user: Ints) -> list[Stream]:
    """Return the events of each user of ``rows`` [E], in order of ``user`` [E], from an empty window on."""
    packed = rows.tobytes()
    starts = np.flatnonzero(np.diff(user, prepend=-1)).tolist()
    return [
        Stream(b"", [packed[at * ROW_BYTES : (at + 1) * ROW_BYTES] for at in range(start, end)])
        for start, end in zip(starts, [*starts[1:], len(rows)], strict=True)
    ]


def _slices(walks: Sequence[_Walk]) -> Iterator[Sequence[_Walk]]:
    for start in range(0, len(walks), _WINDOWS_AT_ONCE):
        yield walks[start : start + _WINDOWS_AT_ONCE]
