"""What an event's lookback says of how often its user comes: the statistics that correct the hazard.

A visit is a run of events with at most `SESSION_GAP_MS` between two of them. All of them follow from the
times alone, so they are cheap, and the same in a rebuilt window. They look back farther than the network's
features do: on 20 rows a busy visit or two hide how often a user came before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from model_store.windows import SESSION_GAP_MS, row_times_ms

if TYPE_CHECKING:
    from model_store.lookback import Lookback
    from model_store.windows import Rows

VISIT_LOOKBACK: Final = 63
VISIT_NAMES: Final = (
    "events",
    "events_in_visit",
    "visits",
    "one_visit",
    "visits_in_7_days",
    "visits_in_30_days",
    "span_days",
    "last_gap_days",
    "mean_gap_days",
    "visits_per_day",
)
_DAY_MS: Final = 86_400_000.0
_PRIOR_DAYS: Final = 5.0  # so that a user of one visit has no boundless rate

Floats = npt.NDArray[np.float32]


def visit_statistics(rows: Rows, lookback: Lookback) -> Floats:
    """Return the statistics [B, `VISIT_NAMES`] of ``rows`` [B], each with its past in ``lookback`` [B, L].

    They are log(1 + x) of counts and of lengths of time in days, but for the flag ``one_visit`` and for
    ``visits_per_day``, the logarithm of the visits over the span and 5 days more. Only the last
    `VISIT_LOOKBACK` rows before an event are read.
    """
    now_ms = row_times_ms(rows)[:, None]
    present = lookback.present[:, :VISIT_LOOKBACK]
    past_ms = np.where(present, row_times_ms(lookback.rows[:, :VISIT_LOOKBACK]), now_ms)
    age_ms = now_ms - past_ms  # 0 where there is no row
    gap_ms = np.where(present, np.diff(age_ms, prepend=0), 0)
    ends_visit = gap_ms > SESSION_GAP_MS  # [B, L], rows that are the last of an earlier visit
    events = 1 + np.count_nonzero(present, axis=1)
    visits = 1 + np.count_nonzero(ends_visit, axis=1)
    several = visits > 1
    events_in_visit = 1 + np.count_nonzero(present & ~np.logical_or.accumulate(ends_visit, axis=1), axis=1)
    last_gap_ms = np.where(ends_visit & (np.cumsum(ends_visit, axis=1) == 1), gap_ms, 0).sum(axis=1)
    span_days = age_ms.max(axis=1, initial=0) / _DAY_MS
    columns = {
        "events": np.log1p(events),
        "events_in_visit": np.log1p(events_in_visit),
        "visits": np.log1p(visits),
        "one_visit": ~several,
        "visits_in_7_days": np.log1p(1 + np.count_nonzero(ends_visit & (age_ms < 7 * _DAY_MS), axis=1)),
        "visits_in_30_days": np.log1p(1 + np.count_nonzero(ends_visit & (age_ms < 30 * _DAY_MS), axis=1)),
        "span_days": np.log1p(span_days),
        "last_gap_days": np.log1p(last_gap_ms / _DAY_MS),
        "mean_gap_days": np.log1p(several * span_days / np.maximum(visits - 1, 1)),
        "visits_per_day": np.log(visits / (span_days + _PRIOR_DAYS)),
    }
    return np.stack([columns[name] for name in VISIT_NAMES], axis=1).astype(np.float32)
