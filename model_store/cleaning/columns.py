"""The columns that anomaly rules look at: of an event, and of a user over the newest events of the window.

Everything is read from packed windows that end in the event in question, so a log and a live event give
the same numbers, and from at most `LOOKBACK_EVENTS` events before it, so the work for an event is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.cleaning.rules import EVENT_COLUMNS, PRICE_COLUMNS, USER_COLUMNS
from model_store.lookback import LOOKBACK_EVENTS, Lookback, lookback_at
from model_store.windows import ROW_BYTES, Rows, row_items, row_times_ms, rows_of
from producers.events import EVENT_TYPES

if TYPE_CHECKING:
    from model_store.cleaning.known import Known
    from model_store.cleaning.rules import Anomaly

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_MINUTE_MS: Final = 60_000
_TYPE_CODES: Final = np.arange(len(EVENT_TYPES))
_LEAST_SPAN_MS: Final = 1_000  # many logs know whole seconds only


class Ends(NamedTuple):
    """The newest rows of B windows, one after another: ``rows`` [E], where each ends, and rows before that.

    ``last`` [B] are the indices of the events in question, ``place`` [B] how many rows stand before each.
    """

    rows: Rows
    last: Ints
    place: Ints

    @classmethod
    def of(cls, windows: Sequence[bytes], events: int) -> Ends:
        """Read the last row of each packed window and up to ``events`` before it."""
        read_bytes = (events + 1) * ROW_BYTES
        sizes = list(map(len, windows))
        if max(sizes, default=0) > read_bytes:
            windows = [window[-read_bytes:] for window in windows]
            sizes = list(map(len, windows))
        lengths = np.array(sizes, np.int64) // ROW_BYTES
        return cls(rows_of(windows), np.cumsum(lengths) - 1, lengths - 1)

    @property
    def events(self) -> Rows:
        """The events in question, [B]."""
        return self.rows.take(self.last)

    def lookback(self, chosen: Ints, events: int = LOOKBACK_EVENTS) -> Lookback:
        """Return the past of the ``chosen`` ones."""
        return lookback_at(self.rows, self.last[chosen], self.place[chosen], events)


def price_columns(rows: Rows, known: Known) -> Floats:
    """Return `PRICE_COLUMNS` of ``rows``, any shape: float32 [..., 2]; 0 where a price is not known.

    In natural logs: the price against its category's median, and against its item's last.
    """
    price = rows["log_price"].astype(np.float32)
    values = np.empty((*rows.shape, len(PRICE_COLUMNS)), np.float32)
    values[..., 0] = price - known.category_prices(rows["category"])
    values[..., 1] = price - known.item_prices(row_items(rows))
    values[np.isnan(values)] = 0.0
    return values


def event_columns(ends: Ends, rows: Rows, known: Known, asked: frozenset[str]) -> Floats:
    """Return `EVENT_COLUMNS` of ``rows`` [B], the events in question: float32 [B, 3].

    What is not ``asked`` for may be left 0.
    """
    values = np.zeros((len(rows), len(EVENT_COLUMNS)), np.float32)
    if asked.intersection(PRICE_COLUMNS):
        values[:, : len(PRICE_COLUMNS)] = price_columns(rows, known)
    if "log_gap" in asked:
        values[:, len(PRICE_COLUMNS)] = _log_gaps(ends)
    return values


def _log_gaps(ends: Ends) -> Floats:
    """Return log(1 + seconds since the event before), float32 [B]; 0 where there is none."""
    now_ms = row_times_ms(ends.events)
    before_ms = row_times_ms(ends.rows.take(np.maximum(ends.last - 1, 0)))
    gap_s = np.maximum(now_ms - before_ms, 0) / 1_000.0
    return np.where(ends.place > 0, np.log1p(gap_s), 0.0).astype(np.float32)


def fast_users(ends: Ends, rule: Anomaly) -> Ints:
    """Return the windows whose newest events came as fast as ``rule`` asks, as indices."""
    gaps = rule.least_events - 1
    enough = np.flatnonzero(ends.place >= gaps)
    newest = ends.last[enough]
    span_ms = row_times_ms(ends.rows.take(newest)) - row_times_ms(ends.rows.take(newest - gaps))
    return enough[span_ms * rule.least_events_per_minute <= gaps * _MINUTE_MS]


def user_columns(ends: Ends, chosen: Ints) -> Floats:
    """Return `USER_COLUMNS` of the ``chosen`` windows, float32 [chosen, 4], over at most 21 events each.

    log(1 + events per minute), over a second at least; distinct items per event; the share of the commonest
    type; the standard deviation of the gaps over their mean, 0 for a clockwork.
    """
    lookback = ends.lookback(chosen)
    newest = ends.rows.take(ends.last[chosen])[:, None]
    rows = np.concatenate([newest, lookback.rows], axis=1)  # [chosen, 1 + L], newest first
    present = np.concatenate([np.ones((len(chosen), 1), bool), lookback.present], axis=1)
    count = present.sum(axis=1)
    values = np.empty((len(chosen), len(USER_COLUMNS)), np.float32)
    times_ms = row_times_ms(rows)
    oldest_ms = times_ms[np.arange(len(chosen)), count - 1]
    span_ms = np.maximum(times_ms[:, 0] - oldest_ms, _LEAST_SPAN_MS)
    values[:, 0] = np.log1p((count - 1) * _MINUTE_MS / span_ms)
    values[:, 1] = _distinct(np.where(present, row_items(rows), row_items(rows[:, :1]))) / count
    values[:, 2] = _commonest(rows["event_type"], present) / count
    values[:, 3] = _variation(-np.diff(times_ms, axis=1), present[:, 1:])
    return values


def _distinct(items: npt.NDArray[np.uint64]) -> Ints:
    ordered = np.sort(items, axis=1)
    different: Ints = 1 + np.count_nonzero(ordered[:, 1:] != ordered[:, :-1], axis=1)
    return different


def _commonest(types: npt.NDArray[np.uint8], present: Mask) -> Ints:
    counted = (types[..., None] == _TYPE_CODES) & present[..., None]  # bool [chosen, 1 + L, types]
    most: Ints = counted.sum(axis=1).max(axis=1)
    return most


def _variation(gaps_ms: Ints, present: Mask) -> Floats:
    count = np.maximum(present.sum(axis=1), 1)
    gaps = np.where(present, gaps_ms, 0).astype(np.float64)
    mean = gaps.sum(axis=1) / count
    squares = np.where(present, (gaps - mean[:, None]) ** 2, 0.0).sum(axis=1) / count
    variation: Floats = np.where(mean > 0, np.sqrt(squares) / np.maximum(mean, 1e-9), 0.0).astype(np.float32)
    return variation
