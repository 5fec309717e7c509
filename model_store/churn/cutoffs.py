"""Users at moments of a log: how long each has been silent, and whether it stayed away for the horizon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from model_store.evaluating.probabilities import probability_measures

if TYPE_CHECKING:
    from model_store.sequences import EventTable

DAY_MS: Final = 86_400_000
ACTIVE_MS: Final = 30 * DAY_MS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class CutoffRows(NamedTuple):
    """A user at a cut-off each [R]: its last event before it (a place in the table), when, how long silent.

    ``churned`` tells whether no event of the user came in the horizon after the cut-off.
    """

    user: Ints
    event: Ints
    cutoff_ms: Ints
    silent_ms: Ints
    churned: Flags


class ChurnScores(msgspec.Struct, frozen=True):
    """What a churn probability is worth on ``rows`` of ``users``; the share ``base_rate`` of them churned."""

    horizon_ms: int
    rows: int
    users: int
    base_rate: float
    auc: float | None
    brier: float
    calibration_error: float


def cutoff_rows(
    table: EventTable, cutoffs_ms: Ints, horizon_ms: int, active_ms: int = ACTIVE_MS
) -> CutoffRows:
    """Return a row for each cut-off and each user with an event in the ``active_ms`` before it.

    An event at the cut-off itself comes after it. The table must hold all events up to the horizon of the
    last cut-off.
    """
    times_ms, first = table.times_ms, np.flatnonzero(table.starts_user())
    ends = np.append(first[1:], len(table))
    parts = []
    for cutoff_ms in cutoffs_ms.tolist():
        before = np.add.reduceat(times_ms < cutoff_ms, first, dtype=np.int64) if len(first) else first
        last = first + before - 1
        silent_ms = cutoff_ms - times_ms[np.maximum(last, 0)]
        active = np.flatnonzero((before > 0) & (silent_ms <= active_ms))
        following = last[active] + 1
        comes = following < ends[active]
        next_ms = times_ms[np.minimum(following, len(table) - 1)]
        churned = ~(comes & (next_ms < cutoff_ms + horizon_ms))
        at = np.full(len(active), cutoff_ms)
        parts.append(CutoffRows(table.user[first[active]], last[active], at, silent_ms[active], churned))
    if not parts:
        none = np.empty(0, np.int64)
        return CutoffRows(none, none, none, none, np.empty(0, bool))
    return CutoffRows(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def churn_scores(probability: Floats, rows: CutoffRows, horizon_ms: int) -> ChurnScores | None:
    """Return the measures of ``probability`` [R] on ``rows``; None without a row."""
    measured = probability_measures(probability, rows.churned)
    if measured.brier is None or measured.calibration_error is None:
        return None
    return ChurnScores(
        horizon_ms=horizon_ms,
        rows=measured.rows,
        users=len(np.unique(rows.user)),
        base_rate=float(rows.churned.mean()),
        auc=measured.auc,
        brier=measured.brier,
        calibration_error=measured.calibration_error,
    )
