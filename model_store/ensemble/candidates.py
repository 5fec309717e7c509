"""The candidates of an ensemble and what its parts say of each: the features that the weights multiply.

An item is a candidate if it is among the best of a network or of the nearest sessions, or stands in the
window. Features that do not depend on the item would change no order, so there are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from model_store.encoder import Encoder
    from model_store.ensemble.followers import Followers
    from model_store.ensemble.neighbours import Neighbours
    from model_store.ensemble.sparse import Ints, ItemScores
    from model_store.own_items import OwnItems
    from model_store.served_heads import Heads
    from model_store.serving import ServedModel

FROM_EACH: Final = 60
_LEAST_SHARE: Final = 1e-3

Floats = npt.NDArray[np.float32]


class Candidates(NamedTuple):
    """``items`` int64 [B, C] as `ServedModel.ranked_items` names them, 0 for none; ``features`` [B, C, F]."""

    items: Ints
    features: Floats


@dataclass(frozen=True)
class Tables:
    """What an ensemble knows beside its networks: how often each item stands in the log, and two tables."""

    item_counts: npt.NDArray[np.int64]
    neighbours: Neighbours | None
    followers: Followers | None


def feature_names(networks: int, tables: Tables) -> list[str]:
    """Return the names of the features, in order."""
    names = [f"network {number}" for number in range(networks)]
    names += ["neighbours", "no neighbour"] if tables.neighbours else []
    names += ["followers", "no follower"] if tables.followers else []
    return [*names, "popularity", "own", "own newest", "own rank"]


def candidates(
    models: Sequence[ServedModel], tables: Tables, heads: Sequence[Heads], own: OwnItems
) -> Candidates:
    """Return the candidates behind events: ``heads`` are each network's, ``own`` the windows' items."""
    indices = models[0].encoder.indices_of_items(own.items).astype(np.int64)
    own_ids = own_names(models[0].encoder, own)
    session = np.where(own.same_session > 0, indices, 0)
    near = tables.neighbours.scores(session) if tables.neighbours else None
    follow = tables.followers.scores(session) if tables.followers else None
    found = [model.next_items(_query(said), FROM_EACH)[0] for model, said in zip(models, heads, strict=True)]
    if near is not None:
        found.append(near.best(len(indices), FROM_EACH))
    items = _distinct(np.concatenate([own_ids, *found], axis=1))
    features: list[npt.NDArray[Any]] = [
        model.logits_of(said, own, items) for model, said in zip(models, heads, strict=True)
    ]
    for scores in (near, follow):
        features += _of_table(scores, items)
    features.append(np.log1p(tables.item_counts[np.maximum(items, 0)]) * (items > 0))
    features += _of_window(items, own_ids)
    return Candidates(items, np.stack(features, axis=2).astype(np.float32))


def own_names(encoder: Encoder, own: OwnItems) -> Ints:
    """Return the ``own`` items [B, M] as `ServedModel.ranked_items` names them, 0 for none."""
    indices = encoder.indices_of_items(own.items).astype(np.int64)
    return np.where(indices > 0, indices, -own.items.astype(np.int64))


def _query(heads: Heads) -> Floats:
    if heads.query is None:
        raise ValueError("a network of an ensemble ranks no items")
    return heads.query


def _distinct(items: Ints) -> Ints:
    """Return each row's items once, ascending, and 0 for the others, as narrow as the widest row allows."""
    ordered = np.sort(items, axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = 0
    kept = np.argsort(ordered == 0, axis=1, kind="stable")
    width = max(int((ordered != 0).sum(axis=1).max(initial=0)), 1)
    return np.take_along_axis(ordered, kept[:, :width], axis=1)


def _of_table(scores: ItemScores | None, items: Ints) -> list[npt.NDArray[np.float64]]:
    """Return the log of a table's scores as shares of the row's largest, and whether it has none."""
    if scores is None:
        return []
    found = scores.at(items)
    largest = found.max(axis=1, keepdims=True, initial=0.0)
    share = found / np.where(largest > 0, largest, 1.0)
    return [np.log(share + _LEAST_SHARE), (found == 0).astype(np.float64)]


def _of_window(items: Ints, own_ids: Ints) -> list[npt.NDArray[np.float64]]:
    """Return whether an item stands in the window, whether as the newest, and the log of its rank."""
    same = (items[:, :, None] == own_ids[:, None, :]) & (items != 0)[:, :, None]
    stands, rank = same.any(axis=2), same.argmax(axis=2)
    return [
        stands.astype(np.float64),
        (stands & (rank == 0)).astype(np.float64),
        np.where(stands, np.log1p(rank), 0.0),
    ]
