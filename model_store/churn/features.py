"""Recency and frequency at a cut-off, from a user's whole history: what the plain churn baselines read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from model_store.churn.cutoffs import DAY_MS
from model_store.windows import row_items
from producers.events import EVENT_TYPES

if TYPE_CHECKING:
    from model_store.churn.cutoffs import CutoffRows
    from model_store.sequences import EventTable

Floats = npt.NDArray[np.float32]

FEATURE_NAMES: Final = (
    "recency",
    "frequency",
    "tenure",
    "mean_gap",
    "recency_in_gaps",
    "days_in_7",
    "days_in_30",
    "events",
    "distinct_items",
    *(f"{each.value}_in_{days}" for each in EVENT_TYPES for days in (7, 30)),
    *(f"{each.value}_ever" for each in EVENT_TYPES),
)


def recency_frequency(table: EventTable, rows: CutoffRows) -> Floats:
    """Return the features [R, `FEATURE_NAMES`] of ``rows``: log(1 + x) of counts, and of lengths in days.

    ``frequency`` counts the days with an event, ``mean_gap`` is from one such day to the next, and
    ``recency_in_gaps`` the difference of both logarithms. An item counts once.
    """
    times_ms, items, kinds = table.times_ms, row_items(table.rows), table.rows["event_type"]
    firsts = np.flatnonzero(table.starts_user())
    first_of_user = dict(zip(table.user[firsts].tolist(), firsts.tolist(), strict=True))
    features = np.empty((len(rows.user), len(FEATURE_NAMES)), np.float32)
    columns = zip(rows.user.tolist(), rows.event.tolist(), rows.cutoff_ms.tolist(), strict=True)
    for row, (user, last, cutoff_ms) in enumerate(columns):
        history = slice(first_of_user[user], last + 1)
        age_ms = cutoff_ms - times_ms[history]
        features[row] = _of_history(age_ms, items[history], kinds[history])
    return features


def _of_history(
    age_ms: npt.NDArray[np.int64], items: npt.NDArray[np.uint64], kinds: npt.NDArray[np.uint8]
) -> list[float]:
    days_ago = np.unique(age_ms // DAY_MS)
    recency, tenure = age_ms[-1] / DAY_MS, age_ms[0] / DAY_MS
    gap = (days_ago[-1] - days_ago[0]) / max(len(days_ago) - 1, 1)
    recent = {days: age_ms <= days * DAY_MS for days in (7, 30)}
    counts = np.bincount(kinds, minlength=len(EVENT_TYPES))
    numbers = [
        recency,
        len(days_ago),
        tenure,
        gap,
        0.0,
        np.count_nonzero(days_ago < 7),
        np.count_nonzero(days_ago < 30),
        len(items),
        len(np.unique(items)),
        *(
            np.count_nonzero(within & (kinds == code))
            for code in range(len(EVENT_TYPES))
            for within in recent.values()
        ),
        *counts[: len(EVENT_TYPES)].tolist(),
    ]
    logs = np.log1p(np.asarray(numbers, np.float64))
    logs[4] = logs[0] - logs[3]
    told: list[float] = logs.tolist()
    return told
