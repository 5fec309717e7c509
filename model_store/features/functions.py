"""How each feature is worked out from a `Seen` of B events: [B], or [B, its width].

The docstring of a function is the feature's meaning. Logarithms of counts are to the base 2, of 1 + count.
Every function works event by event, so the numbers of an event are the same in any company.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model_store.features.seen import Seen, counts_by_type, leading
from model_store.features.statistics import DAY_MS, WEEK_DAYS
from model_store.lookback import LOOKBACK_EVENTS
from model_store.windows import row_items, session_starts
from producers.contract import EVENT_TYPES, EventType

Column = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

_CART, _REMOVE, _PURCHASE = (
    EVENT_TYPES.index(kind) for kind in (EventType.CART, EventType.REMOVE_FROM_CART, EventType.PURCHASE)
)
_LOOKS: Final = np.array([kind in (EventType.VIEW, EventType.SEARCH) for kind in EVENT_TYPES])

_THURSDAY: Final = 3  # the Unix epoch's weekday, Monday = 0
_LOG_SECONDS_SCALE: Final = 0.2  # brings log(1 + seconds) of a minute to a month into 0.8 to 3
_FURTHEST: Final = 4.0
_LOG_COUNTS: Final = np.log2(np.arange(1, LOOKBACK_EVENTS + 3)).astype(np.float32)


def no_previous(seen: Seen) -> Column:
    """1 for the first event of a window."""
    return ~seen.has_previous


def starts_session(seen: Seen) -> Column:
    """1 where a session starts."""
    previous = seen.previous["session"]
    starts = session_starts(seen.times_ms, seen.rows["session"], seen.previous_times_ms, previous)
    return starts | ~seen.has_previous


def same_item_as_previous(seen: Seen) -> Column:
    """1 where the event before has the same item."""
    items = seen.items
    same: Column = (row_items(seen.previous) == items) & (items != 0) & seen.has_previous
    return same


def log_price(seen: Seen) -> Column:
    """log(1 + price), normalised; 0 where there is none."""
    statistics = seen.statistics
    scaled = (seen.log_price - statistics.log_price_mean) / statistics.log_price_deviation
    return np.where(seen.has_price, scaled, np.float32(0))


def price_absent(seen: Seen) -> Column:
    """1 where there is no price."""
    return ~seen.has_price


def price_in_category(seen: Seen) -> Column:
    """log(1 + price) in deviations from its category's mean, from -4 to 4; 0 where there is none."""
    of_category = seen.category_prices[seen.category]
    scaled = (seen.log_price - of_category[:, 0]) / of_category[:, 1]
    return np.where(seen.has_price, np.clip(scaled, -_FURTHEST, _FURTHEST), np.float32(0))


def item_seen(seen: Seen) -> Column:
    """Logarithm of how often the item stands in the lookback."""
    return _log_counts(np.count_nonzero(seen.same_item, axis=1))


def item_recency(seen: Seen) -> Column:
    """1 / (how many events ago the item was last there); 0 for never in the lookback."""
    back = seen.same_item.argmax(axis=1) + 1
    return np.where(seen.same_item.any(axis=1), 1.0 / back, 0.0)


def category_seen(seen: Seen) -> Column:
    """Logarithm of how often the category stands in the lookback."""
    category = seen.rows["category"][:, None]
    same = (seen.past["category"] == category) & (category != 0) & seen.present
    return _log_counts(np.count_nonzero(same, axis=1))


def type_counts(seen: Seen) -> Column:
    """Logarithm of how often each type stands in the lookback, for the types of the training part."""
    return _log_counts(seen.type_counts[:, list(seen.statistics.event_types)])


def cart_size(seen: Seen) -> Column:
    """Logarithm of the carts less the removals and purchases, in the lookback and this event."""
    counts = seen.type_counts + (seen.rows["event_type"][:, None] == np.arange(len(EVENT_TYPES)))
    size = counts[:, _CART] - counts[:, _REMOVE] - counts[:, _PURCHASE]
    return _log_counts(np.maximum(size, 0))


def looks_in_a_row(seen: Seen) -> Column:
    """Logarithm of how many views and searches the session ends with, this event included."""
    before = np.minimum(leading(_LOOKS[seen.past["event_type"]]), seen.session_length)
    return _log_counts(_LOOKS[seen.rows["event_type"]] * (1 + before))


def log_gap(seen: Seen) -> Column:
    """A fifth of log(1 + seconds since the event before); 0 for the first event of a window."""
    gap_ms = seen.times_ms - seen.previous_times_ms
    return np.where(seen.has_previous, _log_seconds(gap_ms), 0.0)


def hour(seen: Seen) -> Column:
    """Sine and cosine of the time of day, UTC."""
    return _phase((seen.times_ms % DAY_MS) / DAY_MS)


def weekday(seen: Seen) -> Column:
    """Sine and cosine of the time of the week, by days, UTC."""
    return _phase((seen.times_ms // DAY_MS + _THURSDAY) % WEEK_DAYS / WEEK_DAYS)


def session_position(seen: Seen) -> Column:
    """Logarithm of how many events of the session stand in the lookback."""
    return _log_counts(seen.session_length)


def session_types(seen: Seen) -> Column:
    """Logarithm of how often each type of the training part stands in the session in the lookback."""
    counts = counts_by_type(seen.past["event_type"], seen.in_session)
    return _log_counts(counts[:, list(seen.statistics.event_types)])


def session_time(seen: Seen) -> Column:
    """A fifth of log(1 + seconds since the first event of the session in the lookback)."""
    length = seen.session_length
    first_ms = seen.past_times_ms[np.arange(len(length)), length - 1]
    return _log_seconds(np.where(length > 0, seen.times_ms - first_ms, 0))


def device(seen: Seen) -> Column:
    """A column for each frequent device, one for all others, one for none."""
    return _one_hot(seen.rows["device"], seen.statistics.devices)


def source(seen: Seen) -> Column:
    """A column for each frequent source, one for all others, one for none."""
    return _one_hot(seen.rows["source"], seen.statistics.sources)


def _log_counts(counts: npt.NDArray[np.int64]) -> Column:
    logarithms: Column = _LOG_COUNTS[counts]
    return logarithms


def _log_seconds(length_ms: npt.NDArray[np.int64]) -> Floats:
    return np.multiply(_LOG_SECONDS_SCALE, np.log1p(np.maximum(length_ms, 0) / 1_000.0))


def _phase(share_of_cycle: Floats) -> Column:
    angle = 2 * np.pi * share_of_cycle
    return np.stack([np.sin(angle), np.cos(angle)], axis=1)


def _one_hot(codes: npt.NDArray[np.uint8], known: tuple[int, ...]) -> Column:
    """Return a column for each known code, one for any other code, and one for 0, the absent."""
    columns = np.full(256, len(known))
    columns[list(known)] = np.arange(len(known))
    columns[0] = len(known) + 1
    hot: Column = columns[codes][:, None] == np.arange(len(known) + 2)
    return hot
