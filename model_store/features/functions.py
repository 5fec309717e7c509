"""How each feature is worked out from what is `Seen` of one event, and put into ``out`` [its width].

The docstring of a function is the feature's meaning. Logarithms of counts are to the base 2, of 1 + count.
The functions are kernels (`model_store.kernels`): they see one event, so its numbers are the same in any
company. A new one also needs its line in `dispatch.compute`.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from model_store.features.seen import Seen
from model_store.features.statistics import DAY_MS, WEEK_DAYS
from model_store.kernels import compiled_bare
from model_store.kernels.rows import begins_session, item_of, time_of
from producers.contract import EVENT_TYPES, EventType

Out = npt.NDArray[np.float32]

CART: Final = EVENT_TYPES.index(EventType.CART)
REMOVE: Final = EVENT_TYPES.index(EventType.REMOVE_FROM_CART)
PURCHASE: Final = EVENT_TYPES.index(EventType.PURCHASE)
VIEW: Final = EVENT_TYPES.index(EventType.VIEW)
_SEARCH: Final = EVENT_TYPES.index(EventType.SEARCH)

_THURSDAY: Final = 3  # the Unix epoch's weekday, Monday = 0
_LOG_SECONDS_SCALE: Final = 0.2  # brings log(1 + seconds) of a minute to a month into 0.8 to 3
_NEVER_MS: Final = 90 * DAY_MS  # stands for a silence without an event before it
_FURTHEST: Final = 4.0
GAP_MARKS: Final = 14
_LOG_MARK: Final = math.log(30 * DAY_MS / 1_000) / (
    GAP_MARKS - 1
)  # from one mark to the next, as a logarithm


@compiled_bare
def no_previous(seen: Seen, out: Out) -> None:
    """1 for the first event of a window."""
    out[0] = seen.length == 0


@compiled_bare
def starts_session(seen: Seen, out: Out) -> None:
    """1 where a session starts."""
    out[0] = seen.length == 0 or begins_session(seen.rows[seen.at], seen.rows[seen.at - 1])


@compiled_bare
def same_item_as_previous(seen: Seen, out: Out) -> None:
    """1 where the event before has the same item."""
    out[0] = seen.length > 0 and seen.item != 0 and item_of(seen.rows[seen.at - 1]) == seen.item


@compiled_bare
def log_price(seen: Seen, out: Out) -> None:
    """log(1 + price), normalised; 0 where there is none."""
    learned = seen.learned
    absent = math.isnan(seen.log_price)
    out[0] = 0.0 if absent else (seen.log_price - learned.log_price_mean) / learned.log_price_deviation


@compiled_bare
def price_absent(seen: Seen, out: Out) -> None:
    """1 where there is no price."""
    out[0] = math.isnan(seen.log_price)


@compiled_bare
def price_in_category(seen: Seen, out: Out) -> None:
    """log(1 + price) in deviations from its category's mean, from -4 to 4; 0 where there is none."""
    of_category = seen.learned.category_prices[seen.category]
    scaled = (seen.log_price - of_category[0]) / of_category[1]
    out[0] = 0.0 if math.isnan(scaled) else min(max(scaled, -_FURTHEST), _FURTHEST)


@compiled_bare
def item_seen(seen: Seen, out: Out) -> None:
    """Logarithm of how often the item stands in the lookback."""
    count = 0
    for back in range(1, seen.length + 1):
        count += seen.item != 0 and item_of(seen.rows[seen.at - back]) == seen.item
    out[0] = _log_count(count)


@compiled_bare
def item_recency(seen: Seen, out: Out) -> None:
    """1 / (how many events ago the item was last there); 0 for never in the lookback."""
    out[0] = 0.0
    for back in range(1, seen.length + 1):
        if seen.item != 0 and item_of(seen.rows[seen.at - back]) == seen.item:
            out[0] = 1.0 / back
            break


@compiled_bare
def category_seen(seen: Seen, out: Out) -> None:
    """Logarithm of how often the category stands in the lookback."""
    category = seen.rows[seen.at]["category"]
    count = 0
    for back in range(1, seen.length + 1):
        count += category != 0 and seen.rows[seen.at - back]["category"] == category
    out[0] = _log_count(count)


@compiled_bare
def type_counts(seen: Seen, out: Out) -> None:
    """Logarithm of how often each type stands in the lookback, for the types of the training part."""
    for column, event_type in enumerate(seen.learned.event_types):
        out[column] = _log_count(seen.type_counts[event_type])


@compiled_bare
def cart_size(seen: Seen, out: Out) -> None:
    """Logarithm of the carts less the removals and purchases, in the lookback and this event."""
    counts, kind = seen.type_counts, seen.event_type
    size = counts[CART] - counts[REMOVE] - counts[PURCHASE]
    size += (kind == CART) - (kind == REMOVE) - (kind == PURCHASE)
    out[0] = _log_count(max(size, 0))


@compiled_bare
def looks_in_a_row(seen: Seen, out: Out) -> None:
    """Logarithm of how many views and searches the session ends with, this event included."""
    looks = 0
    for back in range(seen.session_length + 1):
        kind = seen.rows[seen.at - back]["event_type"]
        if kind not in (VIEW, _SEARCH):
            break
        looks += 1
    out[0] = _log_count(looks)


@compiled_bare
def log_gap(seen: Seen, out: Out) -> None:
    """A fifth of log(1 + seconds since the event before); 0 for the first event of a window."""
    out[0] = _log_seconds(seen.time_ms - time_of(seen.rows[seen.at - 1])) if seen.length else 0.0


@compiled_bare
def hour(seen: Seen, out: Out) -> None:
    """Sine and cosine of the time of day, UTC."""
    _circle((seen.time_ms % DAY_MS) / DAY_MS, out)


@compiled_bare
def weekday(seen: Seen, out: Out) -> None:
    """Sine and cosine of the time of the week, by days, UTC."""
    _circle((seen.time_ms // DAY_MS + _THURSDAY) % WEEK_DAYS / WEEK_DAYS, out)


@compiled_bare
def session_position(seen: Seen, out: Out) -> None:
    """Logarithm of how many events of the session stand in the lookback."""
    out[0] = _log_count(seen.session_length)


@compiled_bare
def session_types(seen: Seen, out: Out) -> None:
    """Logarithm of how often each type of the training part stands in the session in the lookback."""
    for column, event_type in enumerate(seen.learned.event_types):
        out[column] = _log_count(seen.session_type_counts[event_type])


@compiled_bare
def session_time(seen: Seen, out: Out) -> None:
    """A fifth of log(1 + seconds since the first event of the session in the lookback)."""
    first_ms = time_of(seen.rows[seen.at - seen.session_length])
    out[0] = _log_seconds(seen.time_ms - first_ms)


@compiled_bare
def device(seen: Seen, out: Out) -> None:
    """A column for each frequent device, one for all others, one for none."""
    out[: seen.learned.devices] = 0.0
    out[seen.learned.device_column[seen.rows[seen.at]["device"]]] = 1.0


@compiled_bare
def source(seen: Seen, out: Out) -> None:
    """A column for each frequent source, one for all others, one for none."""
    out[: seen.learned.sources] = 0.0
    out[seen.learned.source_column[seen.rows[seen.at]["source"]]] = 1.0


@compiled_bare
def last_types(seen: Seen, out: Out) -> None:
    """A column for each type of the training part: of the event before, then of the one before that."""
    types = len(seen.learned.event_types)
    for back in range(1, 3):
        for column, event_type in enumerate(seen.learned.event_types):
            there = seen.length >= back and seen.rows[seen.at - back]["event_type"] == event_type
            out[(back - 1) * types + column] = there


@compiled_bare
def type_recency(seen: Seen, out: Out) -> None:
    """A fifth of log(1 + seconds since an event of each type of the training part), 90 days for none."""
    for column, event_type in enumerate(seen.learned.event_types):
        out[column] = _log_seconds(_NEVER_MS)
        for back in range(seen.length + 1):
            row = seen.rows[seen.at - back]
            if row["event_type"] == event_type:
                out[column] = _log_seconds(seen.time_ms - time_of(row))
                break


@compiled_bare
def last_gaps(seen: Seen, out: Out) -> None:
    """A fifth of log(1 + seconds) of the two gaps before the last one, 90 days for none."""
    for back in range(1, 3):
        gap_ms = _NEVER_MS
        if seen.length > back:
            gap_ms = time_of(seen.rows[seen.at - back]) - time_of(seen.rows[seen.at - back - 1])
        out[back - 1] = _log_seconds(gap_ms)


@compiled_bare
def history_position(seen: Seen, out: Out) -> None:
    """Logarithm of how many events stand in the lookback."""
    out[0] = _log_count(seen.length)


@compiled_bare
def same_category_as_previous(seen: Seen, out: Out) -> None:
    """1 where the event before has the same category."""
    category = seen.rows[seen.at]["category"]
    out[0] = seen.length > 0 and category != 0 and seen.rows[seen.at - 1]["category"] == category


@compiled_bare
def gap_marks(seen: Seen, out: Out) -> None:
    """The time since the event before: how near it is to each of 14 marks from 1 second to 30 days."""
    # The two marks beside it share 1 by its logarithm, so a linear map of them bends at each mark.
    out[:GAP_MARKS] = 0.0
    if seen.length:
        gap_s = max((seen.time_ms - time_of(seen.rows[seen.at - 1])) / 1_000.0, 1.0)
        place = min(math.log(gap_s) / _LOG_MARK, GAP_MARKS - 1.0)
        mark = min(int(place), GAP_MARKS - 2)
        out[mark] = mark + 1 - place
        out[mark + 1] = place - mark


@compiled_bare
def _log_count(count: int) -> float:
    return math.log2(1.0 + count)


@compiled_bare
def _log_seconds(length_ms: int) -> float:
    return _LOG_SECONDS_SCALE * math.log1p(max(length_ms, 0) / 1_000.0)


@compiled_bare
def _circle(share: float, out: Out) -> None:
    angle = 2 * math.pi * share
    out[0] = math.sin(angle)
    out[1] = math.cos(angle)
