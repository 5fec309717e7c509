"""What an event's features are made of: its row, its lookback, and what several features ask of them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_store.windows import Rows, row_items, row_times_ms, session_starts
from producers.contract import EVENT_TYPES

if TYPE_CHECKING:
    from model_store.features.statistics import EncoderStatistics
    from model_store.lookback import Lookback

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def counts_by_type(types: npt.NDArray[np.uint8], counted: Mask) -> Ints:
    """Return how often each type stands in ``types`` [B, L] where ``counted`` [B, L] is True: [B, types]."""
    events, width = len(types), len(EVENT_TYPES) + 1
    codes = np.where(counted, types, len(EVENT_TYPES)) + width * np.arange(events)[:, None]
    counts = np.bincount(codes.reshape(-1), minlength=events * width).reshape(events, width)
    known: Ints = counts[:, :-1]
    return known


def leading(marked: Mask) -> Ints:
    """Return how many columns [B] of ``marked`` [B, L] are True before the first that is not."""
    columns: Ints = np.where(marked.all(axis=1), marked.shape[1], marked.argmin(axis=1))
    return columns


class Seen:
    """B events with their pasts of L rows. Each part is worked out once, when it is asked for.

    ``category`` int32 [B] are the indices of the events' categories, ``category_prices`` float32 [C, 2] the
    mean and the deviation of each category's prices.
    """

    def __init__(
        self,
        rows: Rows,
        lookback: Lookback,
        category: npt.NDArray[np.int32],
        statistics: EncoderStatistics,
        category_prices: npt.NDArray[np.float32],
    ) -> None:
        self.rows = rows
        self.past = lookback.rows
        self.present = lookback.present
        self.category = category
        self.statistics = statistics
        self.category_prices = category_prices

    @cached_property
    def has_previous(self) -> Mask:
        """Tell [B] which events are not their window's first."""
        return self.present[:, 0]

    @cached_property
    def previous(self) -> Rows:
        """The rows [B] before the events."""
        return self.past[:, 0]

    @cached_property
    def previous_times_ms(self) -> Ints:
        """The times [B] of `previous`, Unix milliseconds."""
        return row_times_ms(self.previous)

    @cached_property
    def items(self) -> npt.NDArray[np.uint64]:
        """The item fingerprints [B], 0 where there is none."""
        return row_items(self.rows)

    @cached_property
    def times_ms(self) -> Ints:
        """The event times [B], Unix milliseconds."""
        return row_times_ms(self.rows)

    @cached_property
    def past_times_ms(self) -> Ints:
        """The event times of the past [B, L]."""
        return row_times_ms(self.past)

    @cached_property
    def session_length(self) -> Ints:
        """How many rows of the past [B] belong to the event's own session."""
        sessions, past_sessions = self.rows["session"], self.past["session"]
        later_times = np.concatenate([self.times_ms[:, None], self.past_times_ms[:, :-1]], axis=1)
        later_sessions = np.concatenate([sessions[:, None], past_sessions[:, :-1]], axis=1)
        starts = session_starts(later_times, later_sessions, self.past_times_ms, past_sessions)
        return leading(self.present & ~starts)

    @cached_property
    def in_session(self) -> Mask:
        """Tell [B, L] which rows of the past belong to the event's own session."""
        return np.arange(self.present.shape[1]) < self.session_length[:, None]

    @cached_property
    def same_item(self) -> Mask:
        """Tell [B, L] which rows of the past have the event's item."""
        items = self.items[:, None]
        same: Mask = (row_items(self.past) == items) & (items != 0) & self.present
        return same

    @cached_property
    def type_counts(self) -> Ints:
        """How many rows of the past have each event type, [B, types]."""
        return counts_by_type(self.past["event_type"], self.present)

    @cached_property
    def log_price(self) -> npt.NDArray[np.float32]:
        """The logarithms of the prices [B], NaN where there is none."""
        return self.rows["log_price"].astype(np.float32)

    @cached_property
    def has_price(self) -> Mask:
        """Tell [B] which events have a price."""
        return ~np.isnan(self.log_price)
