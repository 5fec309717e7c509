"""Inner products, and the best of some scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numba
import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare, compiled_brief

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def _summing(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return ``function`` compiled so that it may sum in any order, which hangs on the count alone.

    That lets a processor take many numbers at once. It becomes part of the kernels that call it, and needs
    no place on disk.
    """
    compiler: Any = numba.njit
    summing: Callable[Parameters, Result] = compiler(
        function, nogil=True, _nrt=False, fastmath={"reassoc", "contract", "nsz"}
    )
    return summing


@_summing
def inner_product(vector: Floats, rows: Any, row: int) -> Any:
    """Return the inner product, float32, of ``vector`` [D] and one of ``rows`` [any, D], of any numbers."""
    total = np.float32(0)
    for place in range(len(vector)):
        total += vector[place] * np.float32(rows[row, place])
    return total


@compiled_bare
def insert(score: Any, name: Any, scores: Any, names: Ints, kept: int) -> Any:
    """Put ``score`` and ``name`` where they belong among the ``kept`` best; return how many are kept then.

    ``scores``, of any numbers, and ``names`` [room] go down, equal scores by name. When they are full, the
    last one falls out.
    """
    full = kept == len(scores)
    place = kept - 1 if full else kept
    if full and not _before(score, name, scores[place], names[place]):
        return kept
    while place and _before(score, name, scores[place - 1], names[place - 1]):
        scores[place], names[place] = scores[place - 1], names[place - 1]
        place -= 1
    scores[place], names[place] = score, name
    return kept if full else kept + 1


@compiled_brief
def fill_best(names: Ints, scores: Floats, skipped: Ints, best: Ints, best_scores: Floats) -> None:
    """Put the best of each row of ``names`` [B, K] into ``best`` [B, k], of zeros; equal ones stand by name.

    ``scores`` [B, K] are theirs. Negative names, and those of ``skipped`` [B, S], 0 for none, are left out.
    """
    for row in range(len(names)):
        kept = 0
        for place in range(names.shape[1]):
            name = names[row, place]
            if name >= 0 and not holds(skipped, row, name):
                kept = insert(scores[row, place], name, best_scores[row], best[row], kept)


@compiled_bare
def holds(names: Ints, row: int, name: Any) -> Any:
    """Tell whether a row of ``names`` [B, S] holds ``name``."""
    held = False
    for place in range(names.shape[1]):
        held |= names[row, place] == name
    return held


@compiled_bare
def _before(score: Any, name: Any, other_score: Any, other_name: Any) -> Any:
    return score > other_score or (score == other_score and name < other_name)
