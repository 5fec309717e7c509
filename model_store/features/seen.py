"""What an event's features are made of: its row, its lookback, and what several features ask of them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.features.statistics import EncoderStatistics
from model_store.kernels import compiled_bare
from model_store.kernels.rows import begins_session, item_of, log_price_of, time_of
from producers.contract import EVENT_TYPES

TYPES: Final = len(EVENT_TYPES)

Ints = npt.NDArray[np.int64]


class Learned(NamedTuple):
    """`EncoderStatistics` as kernels read them.

    ``event_types`` are the codes of the types that occurred; ``device_column`` and ``source_column`` int64
    [256] give the column of each code, and ``devices`` and ``sources`` how many columns there are;
    ``category_prices`` float64 [C, 2] are the mean and the deviation of each category's prices.
    """

    log_price_mean: float
    log_price_deviation: float
    event_types: Ints
    device_column: Ints
    devices: int
    source_column: Ints
    sources: int
    category_prices: npt.NDArray[np.float64]


class Seen(NamedTuple):
    """One event, at ``at`` of ``rows``, with the ``length`` rows of its lookback right before it.

    ``item`` is its fingerprint, 0 for none, ``log_price`` NaN for none, ``category`` the category's index.
    Of the lookback, the last ``session_length`` rows belong to the event's own session. ``type_counts`` and
    ``session_type_counts`` [types + 1] say how often each type stands in the lookback, and in the session in
    it; what is no type counts at the end.
    """

    learned: Learned
    rows: Any
    at: int
    length: int
    time_ms: int
    item: int
    event_type: int
    log_price: float
    category: int
    session_length: int
    type_counts: Ints
    session_type_counts: Ints


def learned_of(statistics: EncoderStatistics) -> Learned:
    """Return ``statistics`` in the form that kernels read."""
    prices = statistics.category_prices or ((statistics.log_price_mean, statistics.log_price_deviation),)
    return Learned(
        statistics.log_price_mean,
        statistics.log_price_deviation,
        np.array(statistics.event_types, np.int64),
        _columns(statistics.devices),
        len(statistics.devices) + 2,
        _columns(statistics.sources),
        len(statistics.sources) + 2,
        np.array(prices, np.float64),
    )


def _columns(known: tuple[int, ...]) -> Ints:
    """Return a column for each known code, one for any other code, and one for 0, the absent."""
    columns = np.full(256, len(known))
    columns[list(known)] = np.arange(len(known))
    columns[0] = len(known) + 1
    return columns


@compiled_bare
def see(
    learned: Learned,
    rows: Any,
    at: int,
    length: int,
    category: int,
    type_counts: Ints,
    session_type_counts: Ints,
) -> Seen:
    """Return the event at ``at`` of ``rows`` with ``length`` rows of past. The counts are overwritten."""
    type_counts[:] = 0
    session_type_counts[:] = 0
    session_length = 0
    in_session = True
    for back in range(1, length + 1):
        row = rows[at - back]
        if in_session and begins_session(rows[at - back + 1], row):
            in_session = False
        event_type = int(min(row["event_type"], TYPES))
        type_counts[event_type] += 1
        if in_session:
            session_length += 1
            session_type_counts[event_type] += 1
    row = rows[at]
    return Seen(
        learned,
        rows,
        at,
        length,
        time_of(row),
        item_of(row),
        int(row["event_type"]),
        log_price_of(row),
        category,
        session_length,
        type_counts,
        session_type_counts,
    )
