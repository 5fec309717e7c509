"""The statistics of `model_store.churn.visits`, event by event."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_brief
from model_store.kernels.rows import time_of
from model_store.windows import SESSION_GAP_MS

_DAY_MS: Final = 86_400_000.0
_PRIOR_DAYS: Final = 5.0  # so that a user of one visit has no boundless rate
_GAP_MS: Final = SESSION_GAP_MS

Ints = npt.NDArray[np.int64]


@compiled_brief
def fill_visits(rows: Any, index: Ints, length: Ints, out: npt.NDArray[np.float32]) -> None:
    """Put the statistics of the events at ``index`` [B] of ``rows`` into ``out`` [B, `VISIT_NAMES`].

    ``length`` [B] rows of each event's past stand right before it.
    """
    for event in range(len(index)):
        at = index[event]
        now_ms = later_ms = time_of(rows[at])
        visits = in_visit = 1
        in_week = in_month = 1
        last_gap_ms = oldest_ms = 0
        for back in range(1, length[event] + 1):
            time_ms = time_of(rows[at - back])
            age_ms, gap_ms = now_ms - time_ms, later_ms - time_ms
            if gap_ms > _GAP_MS:
                visits += 1
                in_week += age_ms < 7 * _DAY_MS
                in_month += age_ms < 30 * _DAY_MS
                if visits == 2:
                    last_gap_ms = gap_ms
            in_visit += visits == 1
            oldest_ms = max(oldest_ms, age_ms)
            later_ms = time_ms
        span_days = oldest_ms / _DAY_MS
        out[event, 0] = math.log1p(1.0 + length[event])
        out[event, 1] = math.log1p(1.0 * in_visit)
        out[event, 2] = math.log1p(1.0 * visits)
        out[event, 3] = visits == 1
        out[event, 4] = math.log1p(1.0 * in_week)
        out[event, 5] = math.log1p(1.0 * in_month)
        out[event, 6] = math.log1p(span_days)
        out[event, 7] = math.log1p(last_gap_ms / _DAY_MS)
        out[event, 8] = math.log1p(span_days / (visits - 1)) if visits > 1 else 0.0
        out[event, 9] = math.log(visits / (span_days + _PRIOR_DAYS))
