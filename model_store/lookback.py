"""What an event may know of its past: the last rows before it in its own window, newest first.

Every feature of an event is a function of its row and of this lookback. So the work for an event does
not grow with the window, and a window that is encoded again, whole or cut anew, gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model_store.kernels.rows import kernel_rows
from model_store.windows import ROW_BYTES, Rows, rows_of

LOOKBACK_EVENTS: Final = 20

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lookback:
    """The past of B events, by where it stands: nothing is copied until `rows` or `present` is asked for.

    The events are those at ``index`` int64 [B] of ``source`` [E]. ``length`` int64 [B] counts the rows of
    each one's own window that stand right before it, at most ``events``.
    """

    source: Rows
    index: Ints
    length: Ints
    events: int

    @cached_property
    def present(self) -> npt.NDArray[np.bool_]:
        """Tell [B, ``events``] which rows of the past there are, newest first."""
        mask: npt.NDArray[np.bool_] = np.arange(1, self.events + 1) <= self.length[:, None]
        return mask

    @cached_property
    def rows(self) -> Rows:
        """The past [B, ``events``], newest first; where `present` is False, a row means nothing."""
        past = self.index[:, None] - np.arange(1, self.events + 1)
        past[~self.present] = 0
        return self.source.take(past)

    @cached_property
    def kernel_source(self) -> npt.NDArray[Any]:
        """The source as kernels take it."""
        return kernel_rows(self.source)

    def copied(self) -> Lookback:
        """Return the same past in a source of its own, if this one holds more rows than that one would."""
        width = self.events + 1
        if len(self.source) <= len(self.index) * width:
            return self
        wanted = self.index[:, None] - np.arange(self.events, -1, -1)  # [B, width], oldest first
        rows = self.source.take(np.maximum(wanted, 0)).reshape(-1)
        index = np.arange(len(self.index), dtype=np.int64) * width + self.events
        return Lookback(rows, index, self.length, self.events)


def lookback_at(rows: Rows, index: Ints, place: Ints, events: int = LOOKBACK_EVENTS) -> Lookback:
    """Return the last ``events`` rows before each of the rows at ``index`` [B] of ``rows`` [E].

    ``place`` [B] counts the rows before each one in its own window, which stand right before it in ``rows``.
    """
    return Lookback(rows, index, np.minimum(place, events), events)


def lookback_in_windows(rows: Rows, lengths: Ints, events: int = LOOKBACK_EVENTS) -> Lookback:
    """Return the lookback of all ``rows`` [E]: whole windows of ``lengths`` [W], one after another."""
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    index = np.arange(len(rows))
    return lookback_at(rows, index, index - starts, events)


def lookback_of_windows(windows: Sequence[bytes], events: int = LOOKBACK_EVENTS) -> tuple[Rows, Lookback]:
    """Return the last row [B] of each packed window, none of them empty, and its lookback."""
    read_bytes = (events + 1) * ROW_BYTES
    read = [window[-read_bytes:] for window in windows]
    rows = rows_of(read)
    lengths = np.fromiter(map(len, read), np.int64, len(read)) // ROW_BYTES
    last = lengths.cumsum() - 1
    return rows.take(last), lookback_at(rows, last, lengths - 1, events)
