"""The k best columns of a score matrix, exactly, without sorting it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


def best_columns(scores: Floats, k: int, group: int = 1) -> tuple[Indices, Floats]:
    """Return the ``k`` largest scores of each row, best first, equal ones by column: (columns, scores).

    ``scores`` is float32[rows, columns]; the answers are [rows, k], 1 <= k <= columns. A ``group`` over 1
    divides the number of columns into at least k groups. Only the groups whose largest score is among the
    k largest such can hold one of the k best: so most columns are looked at once, by a vectorised maximum.
    """
    columns = _largest(scores, k) if group == 1 else _largest_by_groups(scores, k, group)
    values = np.take_along_axis(scores, columns, axis=1)
    least = values.min(axis=1, keepdims=True)
    # Where more than k columns reach the k-th score, the choice among equals was arbitrary.
    for row in np.flatnonzero(np.count_nonzero(scores >= least, axis=1) > k):
        reaching = np.flatnonzero(scores[row] >= least[row])
        columns[row] = reaching[np.argsort(-scores[row, reaching], kind="stable")[:k]]
        values[row] = scores[row, columns[row]]
    return in_order(columns, values)


def in_order(indices: Indices, scores: Floats) -> tuple[Indices, Floats]:
    """Return ``indices`` and ``scores``, both [rows, k], with each row's best first, equal ones by index."""
    order = np.lexsort((indices, -scores), axis=1)
    return np.take_along_axis(indices, order, axis=1), np.take_along_axis(scores, order, axis=1)


def _largest_by_groups(scores: Floats, k: int, group: int) -> Indices:
    rows, columns = scores.shape
    groups = columns // group
    # Columns j, j + groups, j + 2 groups, … make group j: the maximum then runs along whole lines of memory.
    largest = scores.reshape(rows, group, groups).max(axis=1)
    members = _largest(largest, k)[:, :, None] + np.arange(0, columns, groups)
    candidates = members.reshape(rows, k * group)
    kept = _largest(np.take_along_axis(scores, candidates, axis=1), k)
    return np.take_along_axis(candidates, kept, axis=1)


def _largest(values: Floats, k: int) -> Indices:
    """Return where the ``k`` largest values of each row stand, in no order."""
    split = values.shape[1] - k
    return np.argpartition(values, split, axis=1)[:, split:]
