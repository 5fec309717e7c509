"""The windows of a group of batches in one array, and how its events enter them: `kernels.window_rule`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from model_store.kernels.rows import kernel_rows
from model_store.kernels.window_rule import (
    NOT_ASKED,
    REFUSED,
    Arena,
    Made,
    Newest,
    Records,
    Rule,
    enter_windows,
)
from model_store.lookback import Lookback, lookback_at
from model_store.own_items import OWN_EVENTS
from model_store.serving import ServedModel
from model_store.windows import EVENT_ROW, ROW_BYTES, Rows, kept_after_overflow, pack_rows
from producers.events import Event
from streamer.records import DeadLetter, SourceRecord
from streamer.state import KeptStates, put_rows

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


class Windows(NamedTuple):
    """Packed windows in one array ``octets`` uint8 [any, `ROW_BYTES`]: ``counts`` rows from ``starts`` on.

    Behind an event that goes on from a kept state, only as many rows are there as its features read; what
    stands before these belongs to others.
    """

    octets: npt.NDArray[np.uint8]
    starts: Ints
    counts: Ints

    def packed(self, place: int) -> bytes:
        """Return one of the windows."""
        start = int(self.starts[place])
        return self.octets[start : start + int(self.counts[place])].tobytes()

    def all_packed(self) -> list[bytes]:
        """Return all windows."""
        return [self.packed(place) for place in range(len(self.starts))]

    def lookback(self, events: int) -> tuple[Rows, Lookback]:
        """Return the last row of each window, none of them empty, and the ``events`` before it."""
        rows = self.octets.reshape(-1).view(EVENT_ROW)
        last = self.starts + self.counts - 1
        return rows.take(last), lookback_at(rows, last, self.counts - 1, events)


class Gate(Protocol):
    """Who may enter a window: the model's cleaning."""

    @property
    def reach_ms(self) -> float:
        """An event that is further behind its user's newest one is not asked about: it may enter."""

    def refusal(self, record: SourceRecord, rows: bytes, position: int, step: int) -> DeadLetter | None:
        """Return why the event of ``record`` may not stay at ``position`` of the window ``rows``, or None.

        ``step`` is the one that it takes otherwise.
        """


class Entry:
    """The windows of a group on their way: see `kernels.window_rule`."""

    def __init__(
        self,
        model: ServedModel,
        kept: KeptStates,
        events: Sequence[Event],
        user: Ints,
        allowed_lateness_ms: int,
        gate: Gate | None,
    ) -> None:
        size, counts, count = model.window_size, kept.heads.counts, len(events)
        skipped = np.zeros(len(counts), np.int64)
        if gate is None and model.recurrent:
            skipped = np.where(kept.heads.whole, 0, np.maximum(counts - _read_rows(model), 0))
        room = counts - skipped + np.bincount(user, minlength=len(counts))
        ends = room.cumsum()
        starts = ends - room
        self.rows = pack_rows(events)
        # Not all of it is written, and a cleaning looks at whole arrays: nothing in those may be by chance.
        make = np.empty if gate is None else np.zeros
        self.arena = _arena(make((int(room.sum()) + size * count, ROW_BYTES), np.uint8))
        current = (kept.heads.models == model.fingerprint) & (kept.heads.hidden_bytes == model.state_bytes)
        put_rows(kept, starts, skipped, self.arena.octets)
        self._newest = Newest(
            starts - skipped,
            counts.copy(),
            ends,
            starts,
            starts - skipped,
            (counts > 0) & ~kept.heads.whole,
            np.full(len(counts), -1),
            current | (counts == 0),
        )
        self._records = Records(kept.packed, kept.heads, np.empty(ROW_BYTES, np.int64))
        self._rule = Rule(
            size, kept_after_overflow(size), allowed_lateness_ms, -math.inf if gate is None else gate.reach_ms
        )
        self.made = Made(*np.empty((6, count), np.int64), *np.empty((3, count), np.bool_))
        self.outcomes = np.zeros(count, np.int8)
        self._progress = np.array([0, 0, room.sum()])
        self._user = user
        self._gate = gate

    @property
    def count(self) -> int:
        """How many steps are made."""
        return int(self._progress[1])

    @property
    def octets(self) -> Bytes:
        """The rows of the arena that are used."""
        return self.arena.octets[: int(self._progress[2])]

    def run(self, records: Sequence[SourceRecord]) -> dict[int, DeadLetter]:
        """Let all events enter, and ask the gate where it must be asked; return its refusals, by event."""
        letters: dict[int, DeadLetter] = {}
        gate, asked = self._gate, self._enter(NOT_ASKED)
        while gate is not None and asked != NOT_ASKED:
            step, made = self.count, self.made
            window = Windows(self.arena.octets, made.starts, made.counts).packed(step)
            letter = gate.refusal(records[asked], window, int(made.places[step]), step)
            if letter is not None:
                letters[asked] = letter
                self.outcomes[asked] = REFUSED
                self._progress[0] = asked + 1
            asked = self._enter(asked if letter is None else NOT_ASKED)
        return letters

    def _enter(self, permitted: int) -> int:
        rows = _arena(self.rows.view(np.uint8).reshape(-1, ROW_BYTES))
        return int(
            enter_windows(
                rows,
                self._user,
                self._rule,
                self._records,
                self.arena,
                self._newest,
                self.made,
                self.outcomes,
                self._progress,
                permitted,
            )
        )


def _read_rows(model: ServedModel) -> int:
    """Return how many rows before an event are read of a window from whose state the network goes on."""
    return max(model.lookback_events, OWN_EVENTS - 1)


def _arena(octets: Bytes) -> Arena:
    return Arena(kernel_rows(octets.reshape(-1).view(EVENT_ROW)), octets)
