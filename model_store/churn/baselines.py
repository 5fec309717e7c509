"""What a churn model must beat: predictors from recency and frequency, trained inside the training time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression

from model_store.baselines.classifiers import boosted_trees, logistic_regression
from model_store.churn.bgnbd import History, fit_bgnbd
from model_store.churn.cutoffs import DAY_MS, CutoffRows, cutoff_rows
from model_store.churn.features import recency_frequency

if TYPE_CHECKING:
    from model_store.sequences import EventTable

Floats = npt.NDArray[np.float64]

_VALIDATION_SHARE: Final = 0.2
_FIRST_CUTOFF_DAYS: Final = 14


def baseline_probabilities(
    training: EventTable, until_ms: int, asked: EventTable, rows: CutoffRows, horizon_ms: int
) -> dict[str, Floats]:
    """Return P(no event in the horizon) [R] of ``rows`` of ``asked`` by each baseline's name.

    They learn from daily cut-offs of ``training``, whose events end before ``until_ms``, two weeks and more
    after its first event, as long as the horizon ends by ``until_ms``. A fifth of the users says how many
    trees, and half of the rows how strong the penalty is. Raises ValueError when there is no such cut-off.
    """
    begins_ms = int(training.times_ms.min()) // DAY_MS * DAY_MS
    cutoffs_ms = np.arange(begins_ms + _FIRST_CUTOFF_DAYS * DAY_MS, until_ms - horizon_ms + 1, DAY_MS)
    learned = cutoff_rows(training, cutoffs_ms, horizon_ms)
    if not len(learned.user):
        raise ValueError("the training time is too short for cut-offs two weeks in and a horizon behind")
    known, told = recency_frequency(training, learned), recency_frequency(asked, rows)
    judged, truth = _some_users(learned.user), learned.churned.astype(np.int64)
    regression = logistic_regression(known, truth, (known[:0], truth[:0]), 2)
    trees = boosted_trees(known[~judged], truth[~judged], (known[judged], truth[judged]), 2)
    found = {
        "logistic_regression": regression.probabilities(told)[:, 1],
        "boosted_trees": trees.probabilities(told)[:, 1],
    }
    recency = IsotonicRegression(out_of_bounds="clip", y_min=0.0, y_max=1.0)
    recency.fit(learned.silent_ms, truth)
    found["recency"] = recency.predict(rows.silent_ms)
    found["popular"] = np.full(len(rows.user), float(truth.mean()))
    last = CutoffRows(*(column[learned.cutoff_ms == learned.cutoff_ms.max()] for column in learned))
    model = fit_bgnbd(visit_history(training, last))
    found["bg_nbd"] = model.silent_probability(visit_history(asked, rows), horizon_ms / DAY_MS)
    return found


def visit_history(table: EventTable, rows: CutoffRows) -> History:
    """Return the days with an event before each of ``rows`` as BG/NBD counts them, times in days."""
    first = np.flatnonzero(table.starts_user())
    day = table.times_ms // DAY_MS
    new_day = np.diff(day, prepend=day[:1] - 1) != 0
    new_day[first] = True
    count = np.cumsum(new_day)
    start = first[np.searchsorted(first, rows.event, side="right") - 1]
    return History(
        (count[rows.event] - count[start]).astype(np.float64),
        (day[rows.event] - day[start]).astype(np.float64),
        rows.cutoff_ms / DAY_MS - day[start],
    )


def _some_users(user: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Tell which rows [R] belong to a fifth of the users, always the same ones."""
    distinct = np.random.default_rng(0).permutation(np.unique(user))
    return np.isin(user, distinct[: round(_VALIDATION_SHARE * len(distinct))])
