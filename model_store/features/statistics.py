"""What the features take from the training part, and keep in the artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import numpy.typing as npt

from model_store.windows import Rows, row_times_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_MS: Final = 86_400_000
WEEK_DAYS: Final = 7
_PRIOR_PRICES: Final = 10  # a category's prices count beside so many of the whole shop
_LEAST_DEVIATION: Final = 1e-3  # a shop with one price has no deviation to divide by
_MOST_CODES: Final = 8
_LEAST_CODE_SHARE: Final = 0.01


class EncoderStatistics(msgspec.Struct, frozen=True):
    """What was learned of the numbers of the training part.

    Prices are logarithms, log(1 + price); ``priced`` tells whether there was any. ``category_prices`` holds
    their mean and deviation for each index of a category, or nothing. A day's (a week's) cycle is ``daily``
    (``weekly``) only if the training part has seen it twice: from less, the hour is only a name for the
    moment, and leads astray afterwards. ``event_types`` are the codes of the types that occurred;
    ``devices`` and ``sources`` the fingerprints of the frequent ones, empty where all events have the same.
    ``events`` is how many there were, and ``categories`` how many distinct ones they had.
    """

    log_price_mean: float
    log_price_deviation: float
    timed: bool
    daily: bool
    weekly: bool
    priced: bool = True
    category_prices: tuple[tuple[float, float], ...] = ()
    event_types: tuple[int, ...] = ()
    devices: tuple[int, ...] = ()
    sources: tuple[int, ...] = ()
    events: int = 0
    categories: int = 0


def statistics_of(
    rows: Rows, category: npt.NDArray[np.int32], category_count: int, *, timed: bool
) -> EncoderStatistics:
    """Return the statistics of ``rows`` [E], each in the category of that index, below ``category_count``."""
    log_prices = rows["log_price"].astype(np.float64)
    known = ~np.isnan(log_prices)
    priced = bool(known.any())
    mean = float(log_prices[known].mean()) if priced else 0.0
    deviation = max(float(log_prices[known].std()), _LEAST_DEVIATION) if priced else 1.0
    times_ms = row_times_ms(rows)
    span_ms = int(times_ms.max() - times_ms.min()) if len(rows) else 0
    by_category = priced and category_count > 1
    return EncoderStatistics(
        log_price_mean=mean,
        log_price_deviation=deviation,
        timed=timed,
        daily=timed and span_ms >= 2 * DAY_MS,
        weekly=timed and span_ms >= 2 * WEEK_DAYS * DAY_MS,
        priced=priced,
        category_prices=_category_prices(log_prices[known], category[known], category_count, mean, deviation)
        if by_category
        else (),
        event_types=tuple(np.unique(rows["event_type"]).tolist()),
        devices=_frequent_codes(rows["device"]),
        sources=_frequent_codes(rows["source"]),
        events=len(rows),
        categories=category_count - 1,
    )


def _category_prices(
    log_prices: npt.NDArray[np.float64],
    category: npt.NDArray[np.int32],
    count: int,
    mean: float,
    deviation: float,
) -> tuple[tuple[float, float], ...]:
    """Return mean and deviation by category, drawn towards the shop's where there are few prices.

    Index 0, the unknown and the absent categories together, has the shop's own.
    """
    prices = np.bincount(category, minlength=count) + _PRIOR_PRICES
    means = (np.bincount(category, log_prices, count) + _PRIOR_PRICES * mean) / prices
    squares = np.bincount(category, (log_prices - means[category]) ** 2, count)
    deviations = np.sqrt((squares + _PRIOR_PRICES * deviation**2) / prices)
    means[0], deviations[0] = mean, deviation
    pairs: Sequence[tuple[float, float]] = list(zip(means.tolist(), deviations.tolist(), strict=True))
    return tuple(pairs)


def _frequent_codes(codes: npt.NDArray[np.uint8]) -> tuple[int, ...]:
    """Return the frequent codes but 0, the absent one, the most frequent first, equals by code."""
    counts = np.bincount(codes, minlength=256)
    if np.count_nonzero(counts) < 2:
        return ()
    order = np.argsort(-counts[1:], kind="stable") + 1
    frequent = order[counts[order] >= max(1.0, _LEAST_CODE_SHARE * len(codes))]
    return tuple(frequent[:_MOST_CODES].tolist())
