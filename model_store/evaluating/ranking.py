"""Measures of ranked next items: how high the true one stands, and which items are shown at all."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from model_store.metrics import mrr_at, ndcg_at, ranks_of, recall_at

Items = npt.NDArray[np.uint64]

DEPTHS: Final = (1, 5, 10, 20)
DEPTH: Final = DEPTHS[-1]
NO_ITEM: Final = np.uint64(0)


class RankingMeasures(msgspec.Struct, frozen=True):
    """What lists of `DEPTH` items are worth, by the depth at which they are cut; None without a row.

    ``coverage`` is the share of the catalogue that stands in any list. ``popularity_bias`` is the mean over
    rows of the mean popularity of the items in the list, over that of the items that truly came: 1 shows
    popular items as often as they are wanted, more than that shows too many of them.
    """

    rows: int
    recall: dict[str, float] | None
    mrr: dict[str, float] | None
    ndcg: dict[str, float] | None
    coverage: float | None
    popularity_bias: float | None


def ranking_measures(
    lists: Items, truth: Items, catalogue: Items, counts: npt.NDArray[np.float64]
) -> RankingMeasures:
    """Return the measures of ``lists`` [R, K] against the true next items [R].

    A list has the best item first and `NO_ITEM` behind its end. ``catalogue`` [I] are the items of the
    training part, ascending, and ``counts`` [I] says how often each stood there.
    """
    if not len(truth):
        return RankingMeasures(0, None, None, None, None, None)
    ranks = ranks_of(lists, truth)
    shown = np.unique(lists)
    return RankingMeasures(
        rows=len(truth),
        recall={str(k): recall_at(ranks, k) for k in DEPTHS},
        mrr={str(k): mrr_at(ranks, k) for k in DEPTHS},
        ndcg={str(k): ndcg_at(ranks, k) for k in DEPTHS},
        coverage=float(np.isin(catalogue, shown).mean()) if len(catalogue) else None,
        popularity_bias=_popularity_bias(lists, truth, catalogue, counts),
    )


def popularity_of(items: Items, catalogue: Items, counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how often each of ``items`` (any shape) stood in the training part, 0 if it did not."""
    if not len(catalogue):
        return np.zeros(items.shape)
    place = np.minimum(np.searchsorted(catalogue, items), len(catalogue) - 1)
    return np.where(catalogue[place] == items, counts[place], 0.0)


def _popularity_bias(
    lists: Items, truth: Items, catalogue: Items, counts: npt.NDArray[np.float64]
) -> float | None:
    held = lists != NO_ITEM
    filled = held.any(axis=1)
    wanted = popularity_of(truth, catalogue, counts)[filled].mean() if filled.any() else 0.0
    if wanted == 0:
        return None
    popularity = popularity_of(lists, catalogue, counts) * held
    return float((popularity.sum(axis=1)[filled] / held.sum(axis=1)[filled]).mean() / wanted)
