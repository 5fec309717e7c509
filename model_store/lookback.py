"""What an event may know of its past: the last rows before it in its own window, newest first.

Every feature of an event is a function of its row and of this lookback. So the work for an event does
not grow with the window, and a window that is encoded again, whole or cut anew, gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.windows import ROW_BYTES, Rows, rows_of

LOOKBACK_EVENTS: Final = 20

Ints = npt.NDArray[np.int64]


class Lookback(NamedTuple):
    """The past of B events: ``rows`` [B, L], newest first, and ``present`` bool [B, L].

    Where ``present`` is False, the window has no such row, and what stands in ``rows`` means nothing.
    """

    rows: Rows
    present: npt.NDArray[np.bool_]


def lookback_at(rows: Rows, index: Ints, place: Ints, events: int = LOOKBACK_EVENTS) -> Lookback:
    """Return the last ``events`` rows before each of the rows at ``index`` [B] of ``rows`` [E].

    ``place`` [B] counts the rows before each one in its own window, which stand right before it in ``rows``.
    """
    back = np.arange(1, events + 1)
    present = back <= place[:, None]
    past = index[:, None] - back
    past[~present] = 0
    return Lookback(rows.take(past), present)


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
    last = np.cumsum(lengths) - 1
    return rows.take(last), lookback_at(rows, last, lengths - 1, events)
