"""From the stored rows of a window to the numbers that a network reads: one encoder for training and serving.

Every feature of an event is a function of its own row and of its `Lookback`, so the same call serves a
whole log, a window and one live event. Index 0 of the items and of the categories stands for unknown
and for absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import numpy.typing as npt

from model_store.errors import FileAbsentError, FileCorruptError
from model_store.lookback import Lookback, lookback_in_windows
from model_store.windows import (
    Rows,
    category_fingerprint,
    item_fingerprint,
    row_items,
    row_times_ms,
    starts_session,
)

if TYPE_CHECKING:
    from pathlib import Path

ENCODER_FILE: Final = "encoder.json"
ITEM_COUNTS_FILE: Final = "item_counts.npy"

DAY_MS: Final = 86_400_000
WEEK_DAYS: Final = 7
_THURSDAY: Final = 3  # the Unix epoch's weekday, Monday = 0
_LOG_GAP_SCALE: Final = 0.2  # brings log(1 + seconds) of a minute to a month into 0.8 to 3

NUMERIC_NAMES: Final = (
    "log_gap",
    "no_previous",
    "starts_session",
    "same_item_as_previous",
    "hour_sine",
    "hour_cosine",
    "weekday_sine",
    "weekday_cosine",
    "log_price",
    "price_absent",
)


@dataclass(frozen=True)
class Inputs:
    """What a network reads of each event: three indices, int32 [...], and ``numeric`` float32 [..., F]."""

    item: npt.NDArray[np.int32]
    event_type: npt.NDArray[np.int32]
    category: npt.NDArray[np.int32]
    numeric: npt.NDArray[np.float32]

    def take(self, indices: npt.NDArray[np.int64]) -> Inputs:
        """Return the inputs at ``indices`` (int64 of any shape) of the first axis."""
        return Inputs(
            item=self.item[indices],
            event_type=self.event_type[indices],
            category=self.category[indices],
            numeric=self.numeric[indices],
        )


class EncoderStatistics(msgspec.Struct, frozen=True):
    """What the encoder learned of the numbers of its training part.

    A day's (a week's) cycle is encoded only if the training part has seen it twice: from less, the
    hour is only a name for the moment, and leads astray afterwards.
    """

    log_price_mean: float
    log_price_deviation: float
    timed: bool
    daily: bool
    weekly: bool


class _Stored(msgspec.Struct, frozen=True):
    statistics: EncoderStatistics
    items: list[str]
    categories: list[str]


class Encoder:
    """Encodes rows. ``items`` and ``categories`` give the text of each index; text 0 is empty.

    ``item_counts`` (int64 [V]) says how often each item stood in the training part, the unknown ones
    together at 0.
    """

    def __init__(
        self,
        items: Sequence[str],
        categories: Sequence[str],
        item_counts: npt.NDArray[np.int64],
        statistics: EncoderStatistics,
    ) -> None:
        self.items = list(items)
        self.categories = list(categories)
        self.item_counts = item_counts
        self.statistics = statistics
        self._items = _Lookup([item_fingerprint(item) for item in self.items[1:]])
        self._categories = _Lookup([category_fingerprint(category) for category in self.categories[1:]])

    @classmethod
    def fit(
        cls,
        rows: Rows,
        item_ids: Mapping[int, str],
        category_names: Mapping[int, str],
        *,
        min_count: int,
        timed: bool,
    ) -> Encoder:
        """Return an encoder of the items and categories that stand at least ``min_count`` times in ``rows``.

        ``item_ids`` and ``category_names`` give the text of each fingerprint in ``rows``. The most
        frequent come first, equals by fingerprint. ``timed`` is False where the times of the rows are
        only an order.
        """
        items, counts = _vocabulary(row_items(rows), item_ids, min_count)
        categories, _ = _vocabulary(rows["category"].astype(np.uint64), category_names, min_count)
        return cls(items, categories, counts, _statistics(rows, timed))

    @property
    def lookback_events(self) -> int:
        """How many rows before an event `encode` reads."""
        return 1

    def encode(self, rows: Rows, lookback: Lookback) -> Inputs:
        """Return the inputs of ``rows`` [B], each with its past in ``lookback`` [B, L].

        L must be at least `lookback_events`; rows further back are not read.
        """
        return Inputs(
            item=self.item_indices(rows),
            event_type=rows["event_type"].astype(np.int32),
            category=self._categories.indices(rows["category"].astype(np.uint64)),
            numeric=self._numeric(rows, lookback.rows[:, 0], lookback.present[:, 0]),
        )

    def encode_window(self, rows: Rows) -> Inputs:
        """Return the inputs of a whole window, oldest event first."""
        return self.encode_windows(rows, np.array([len(rows)]))

    def encode_windows(self, rows: Rows, lengths: npt.NDArray[np.int64]) -> Inputs:
        """Return the inputs of ``rows`` [E]: whole windows of ``lengths`` [W], one after another."""
        return self.encode(rows, lookback_in_windows(rows, lengths, self.lookback_events))

    def item_indices(self, rows: Rows) -> npt.NDArray[np.int32]:
        """Return the item index of each row, 0 where the item is unknown or absent."""
        return self._items.indices(row_items(rows))

    def _numeric(
        self, rows: Rows, previous: Rows, has_previous: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float32]:
        numeric = np.zeros((len(rows), len(NUMERIC_NAMES)), np.float32)
        times_ms = row_times_ms(rows)
        numeric[:, 1] = ~has_previous
        numeric[:, 2] = starts_session(rows, previous) | ~has_previous
        items = row_items(rows)
        numeric[:, 3] = (items == row_items(previous)) & (items != 0) & has_previous
        statistics = self.statistics
        if statistics.timed:
            gap_s = np.maximum(times_ms - row_times_ms(previous), 0) / 1_000.0
            numeric[:, 0] = np.where(has_previous, _LOG_GAP_SCALE * np.log1p(gap_s), 0.0)
        if statistics.daily:
            _write_phase(numeric[:, 4:6], (times_ms % DAY_MS) / DAY_MS)
        if statistics.weekly:
            _write_phase(numeric[:, 6:8], (times_ms // DAY_MS + _THURSDAY) % WEEK_DAYS / WEEK_DAYS)
        log_price = rows["log_price"].astype(np.float32)
        absent = np.isnan(log_price)
        scaled = (log_price - statistics.log_price_mean) / statistics.log_price_deviation
        numeric[:, 8] = np.where(absent, 0.0, scaled)
        numeric[:, 9] = absent
        return numeric

    def save(self, directory: Path) -> None:
        """Write the encoder into ``directory`` as `encoder.json` and `item_counts.npy`."""
        stored = _Stored(self.statistics, self.items, self.categories)
        (directory / ENCODER_FILE).write_bytes(msgspec.json.encode(stored))
        np.save(directory / ITEM_COUNTS_FILE, self.item_counts, allow_pickle=False)

    @classmethod
    def load(cls, directory: Path) -> Encoder:
        """Return the encoder in ``directory``. Raises `FileAbsentError` or `FileCorruptError`."""
        try:
            stored = msgspec.json.decode((directory / ENCODER_FILE).read_bytes(), type=_Stored)
            counts = np.load(directory / ITEM_COUNTS_FILE, allow_pickle=False)
        except FileNotFoundError as error:
            raise FileAbsentError(
                f"the encoder is not whole in {directory}: train the model again"
            ) from error
        except (msgspec.DecodeError, ValueError, EOFError) as error:
            raise FileCorruptError(
                f"the encoder in {directory} cannot be read: train the model again"
            ) from error
        return cls(stored.items, stored.categories, counts, stored.statistics)


class _Lookup:
    """Finds the indices (from 1) of known fingerprints; 0 for any other."""

    def __init__(self, fingerprints: Sequence[int]) -> None:
        keys = np.array(fingerprints, np.uint64)
        order = np.argsort(keys)
        self._keys = np.append(keys[order], np.uint64(2**64 - 1))
        self._indices = np.append(order + 1, 0).astype(np.int32)

    def indices(self, fingerprints: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        places = np.searchsorted(self._keys, fingerprints)
        return np.where(self._keys[places] == fingerprints, self._indices[places], np.int32(0))


def _write_phase(columns: npt.NDArray[np.float32], share_of_cycle: npt.NDArray[np.float64]) -> None:
    angle = 2 * np.pi * share_of_cycle
    columns[:, 0] = np.sin(angle)
    columns[:, 1] = np.cos(angle)


def _vocabulary(
    fingerprints: npt.NDArray[np.uint64], texts: Mapping[int, str], min_count: int
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the texts of the frequent fingerprints and their counts, both led by the unknown's."""
    distinct, counts = np.unique(fingerprints, return_counts=True)
    kept = (counts >= min_count) & (distinct != 0)
    order = np.lexsort((distinct[kept], -counts[kept]))
    names = [texts[int(value)] for value in distinct[kept][order]]
    unknown = counts[~kept & (distinct != 0)].sum()
    return ["", *names], np.concatenate([[unknown], counts[kept][order]]).astype(np.int64)


def _statistics(rows: Rows, timed: bool) -> EncoderStatistics:
    log_prices = rows["log_price"].astype(np.float64)
    known = log_prices[~np.isnan(log_prices)]
    times_ms = row_times_ms(rows)
    span_ms = int(times_ms.max() - times_ms.min()) if len(rows) else 0
    return EncoderStatistics(
        log_price_mean=float(known.mean()) if len(known) else 0.0,
        # a shop with one price has no deviation to divide by
        log_price_deviation=max(float(known.std()), 1e-3) if len(known) else 1.0,
        timed=timed,
        daily=timed and span_ms >= 2 * DAY_MS,
        weekly=timed and span_ms >= 2 * WEEK_DAYS * DAY_MS,
    )
