"""Step 4's gate: the model's own cleaning, for a group of batches at once.

The rules and all that they know are the artifact's, and each event is held against its own user's window
alone. So a rerun gives the same, and `model_store.cleaning.sifting` gives the same of a log.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from model_store.cleaning.pipeline import Cleaning
from model_store.cleaning.sifting import Sieve, Stream
from model_store.windows import ROW_BYTES, pack_row
from streamer.memory import Slot
from streamer.records import DeadLetter, DecodedBatch, SourceRecord
from streamer.state import unpack_state

Group = Sequence[tuple[DecodedBatch, Mapping[bytes, Slot]]]


class CleaningGate:
    """Refuses what the rules drop, and says what they find in the rest.

    Where only duplicates are dropped, that is decided event by event, and the rest for all events at once.
    """

    def __init__(self, cleaning: Cleaning, group: Group, window_size: int, allowed_lateness_ms: int) -> None:
        self._cleaning = cleaning
        self._sifted: dict[int, int] | None = None
        self._bits: dict[int, int] = {}  # by step
        self._late: dict[int, bytes] = {}  # by step: the window up to an event that is not its newest
        self.reach_ms: float = cleaning.twin_reach_ms
        if cleaning.drops_by_judgement:
            self._sifted = _sifted(Sieve(cleaning, window_size, allowed_lateness_ms), group)
            self.reach_ms = math.inf

    def refusal(self, record: SourceRecord, rows: bytes, position: int, step: int) -> DeadLetter | None:
        """See `streamer.windowing.Gate`. Raises KeyError for a record that is not in the group."""
        bits = self._cleaning.twin(rows, position) if self._sifted is None else self._sifted[id(record)]
        if bits & self._cleaning.dropping_bits:
            rule = self._cleaning.first_dropping(bits)
            return DeadLetter(record, rule.reason, f"dropped by the model's rule {rule.label}")
        if bits:
            self._bits[step] = bits
        end = (position + 1) * ROW_BYTES
        if end < len(rows):
            self._late[step] = rows[:end]
        return None

    def flags(self, windows: Sequence[bytes]) -> list[tuple[str, ...]]:
        """Return what is to be said of the event of each step, behind which ``windows`` stood."""
        bits = np.zeros(len(windows), np.int64)
        bits[list(self._bits)] = list(self._bits.values())
        if self._sifted is None:
            if self._late:
                windows = [self._late.get(step, window) for step, window in enumerate(windows)]
            bits |= self._cleaning.judge(windows)
        bits &= self._cleaning.told_bits
        flags: list[tuple[str, ...]] = [()] * len(windows)
        for step in np.flatnonzero(bits).tolist():
            flags[step] = self._cleaning.labels(int(bits[step]))
        return flags


def gate_of(
    cleaning: Cleaning | None, group: Group, window_size: int, allowed_lateness_ms: int
) -> CleaningGate | None:
    """Return the gate of a model, or None where it cleans nothing."""
    return None if cleaning is None else CleaningGate(cleaning, group, window_size, allowed_lateness_ms)


def _sifted(sieve: Sieve, group: Group) -> dict[int, int]:
    """Return the rules that each record meets, as bits, by the record's identity in memory."""
    records: dict[int, list[SourceRecord]] = {}
    rows: dict[int, list[bytes]] = {}
    windows: dict[int, bytes] = {}
    for batch, slots in group:
        for user, record, event in batch.events:
            slot = slots[user]
            windows.setdefault(id(slot), unpack_state(slot.record).rows)
            records.setdefault(id(slot), []).append(record)
            rows.setdefault(id(slot), []).append(pack_row(event))
    sifted = sieve.sift(Stream(windows[user], rows[user]) for user in rows)
    ids = [id(record) for user in rows for record in records[user]]
    return dict(zip(ids, sifted.bits.tolist(), strict=True))
