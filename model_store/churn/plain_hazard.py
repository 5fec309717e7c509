"""A logistic hazard of how often a user comes: what the network's hazard is weighed against.

The logit of bin k is linear in the visit statistics, and the effect of a statistic is a line over the
logarithm of the silence. Bins that hardly any silence reached are not covered.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from model_store.chunks import chunk_bounds
from model_store.churn.person_periods import PersonPeriods, person_periods
from model_store.churn.visits import VISIT_LOOKBACK, VISIT_NAMES, visit_statistics
from model_store.lookback import lookback_at
from model_store.parts import sampled_by_user
from model_store.sequences import labels_of, windows_of
from model_store.windows import SESSION_GAP_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_store.parts import Part
    from model_store.sequences import EventTable

MOST_EVENTS: Final = 100_000
_MOST_ROWS: Final = 400_000
LEAST_OF_EACH: Final = 20
_LEAST_ROWS_OF_BIN: Final = 50
_STRENGTH: Final = 1.0
_LOOKBACKS_AT_ONCE: Final = 16_384

Floats = npt.NDArray[np.float64]


class PlainHazard(NamedTuple):
    """The logits are v @ ``kernel`` [S, bins] + ``bias`` [bins], 0 in bins that are not ``covered``."""

    kernel: Floats
    bias: Floats
    covered: npt.NDArray[np.bool_]

    def logits(self, visits: npt.NDArray[np.float32]) -> Floats:
        """Return the logits [E, bins] of visit statistics [E, S]."""
        return visits @ self.kernel + self.bias


def fit_plain_hazard(part: Part, edges_ms: Sequence[int], window_size: int) -> PlainHazard | None:
    """Return the logistic hazard of the visit statistics on up to `MOST_EVENTS` events of ``part``.

    Of more than 400,000 person-periods, those of every second, third, ... silence are learned. None where
    under 20 silences ended in, or outlasted, a bin.
    """
    part = sampled_by_user(replace(part, scored=np.ones(len(part.table), bool)), MOST_EVENTS)
    labels = labels_of(part.table, part.until_ms)
    rows = person_periods(labels.gap_ms, labels.returned, edges_ms, first_bin_between_visits(edges_ms))
    covered = np.bincount(rows.bin, minlength=len(edges_ms)) >= _LEAST_ROWS_OF_BIN
    rows = rows.where(covered[rows.bin])
    if not _enough(rows):
        return None
    rows = rows.where(rows.silence % -(-len(rows.bin) // _MOST_ROWS) == 0)
    silences, place = np.unique(rows.silence, return_inverse=True)
    visits = visits_of(part.table, silences, window_size).astype(np.float64)
    mean, deviation = visits.mean(axis=0), visits.std(axis=0)
    deviation[deviation < 1e-6] = np.inf  # says nothing, so its weight is 0
    design = _design((visits - mean) / deviation, place, rows.bin, log_days(edges_ms))
    regression = LogisticRegression(C=_STRENGTH, solver="newton-cholesky", tol=1e-6)
    fitted = regression.fit(design, rows.event)
    weights = fitted.coef_[0]
    steady, sloped, of_bin = np.split(weights, [len(VISIT_NAMES), 2 * len(VISIT_NAMES)])
    kernel = (steady[:, None] + sloped[:, None] * log_days(edges_ms)) / deviation[:, None]
    bias = of_bin + fitted.intercept_[0] - mean @ kernel
    return PlainHazard(np.where(covered, kernel, 0.0), np.where(covered, bias, 0.0), covered)


def visits_of(table: EventTable, events: npt.NDArray[np.int64], window_size: int) -> npt.NDArray[np.float32]:
    """Return the visit statistics behind the ``events`` [E] of ``table``, as their windows show them."""
    windows = windows_of(table, window_size)
    new = windows.length - windows.new_from
    first = np.repeat(windows.start, new)  # where the window of each event of the table starts
    found = np.empty((len(events), len(VISIT_NAMES)), np.float32)
    for start, end in chunk_bounds(len(events), _LOOKBACKS_AT_ONCE):
        some = events[start:end]
        lookback = lookback_at(table.rows, some, some - first[some], VISIT_LOOKBACK)
        found[start:end] = visit_statistics(table.rows[some], lookback)
    return found


def _design(
    visits: Floats, silence: npt.NDArray[np.int64], bins: npt.NDArray[np.int64], log_days: Floats
) -> Floats:
    """Return [R, 2 S + bins]: the statistics, the statistics times the silence's logarithm, and the bin."""
    of_row = visits[silence]
    return np.concatenate([of_row, of_row * log_days[bins, None], np.eye(len(log_days))[bins]], axis=1)


def first_bin_between_visits(edges_ms: Sequence[int]) -> int:
    """Return the first bin that no event of the same visit can fall into."""
    return int(np.searchsorted(edges_ms, SESSION_GAP_MS))


def log_days(edges_ms: Sequence[int]) -> Floats:
    """Return the logarithm of the edges in days, those under a minute as a minute."""
    logarithms: Floats = np.log(np.maximum(np.asarray(edges_ms, np.float64), 60_000) / 86_400_000)
    return logarithms


def _enough(rows: PersonPeriods) -> bool:
    """Tell whether ``rows`` hold enough events, and enough others, to fit a few weights."""
    events = int(np.count_nonzero(rows.event))
    return min(events, len(rows.event) - events) >= LEAST_OF_EACH
