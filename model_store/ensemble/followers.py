"""Which items stand near which in known sessions, nearer ones counting more: a Markov chain with a memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array

from model_store.ensemble.sparse import Floats, Ints, ItemScores, Lists, place_in_row, summed

FOLLOWERS: Final = 100
_FARTHEST: Final = 10
_BACKWARDS: Final = 0.7
_OLDER: Final = 0.8


class Followers:
    """Of each item the `FOLLOWERS` that stand nearest to it and most often. Never changes."""

    def __init__(self, lists: Lists, weights: Floats) -> None:
        self._lists = lists
        self._weights = weights

    @classmethod
    def fit(cls, session: Ints, item: Ints, items: int) -> Self:
        """Return the table of events ``session`` [E] and ``item`` [E] (0: none), each session's in order.

        An item at distance d counts 1 / d, and `_BACKWARDS` times that where it came before.
        """
        total = coo_array((items, items), dtype=np.float64).tocsr()
        for distance in range(1, _FARTHEST + 1):
            one, other = item[:-distance], item[distance:]
            kept = (session[:-distance] == session[distance:]) & (one > 0) & (other > 0) & (one != other)
            if not kept.any():
                continue
            counted = np.full(int(kept.sum()), 1.0 / distance)
            forward = coo_array((counted, (one[kept], other[kept])), shape=(items, items)).tocsr()
            total = total + forward + _BACKWARDS * forward.T
        found: Any = total.tocoo()
        row, column = found.coords[0].astype(np.int64), found.coords[1].astype(np.int64)
        order = np.lexsort((column, -found.data, row))
        order = order[place_in_row(row[order]) < FOLLOWERS]
        starts = np.concatenate([[0], np.cumsum(np.bincount(row[order], minlength=items))])
        lists = Lists(starts.astype(np.int64), column[order].astype(np.int32))
        # as they are stored, so that a table that was read again says the same
        return cls(lists, found.data[order].astype(np.float32).astype(np.float64))

    def scores(self, own: Ints) -> ItemScores:
        """Return the scores of what follows ``own`` [B, M], distinct items, newest first, 0 for none.

        An older item counts `_OLDER` times the one after it.
        """
        row, place = np.nonzero(own)
        at, source = self._lists.joined(own[row, place])
        item = self._lists.values[at].astype(np.int64)
        return summed(
            row[source],
            item,
            self._weights[at] * _OLDER ** place_in_row(row)[source],
            len(self._lists.starts) - 1,
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the table's arrays by name, from which `of_arrays` makes it again."""
        return {
            "follower_starts": self._lists.starts,
            "follower_items": self._lists.values,
            "follower_weights": self._weights.astype(np.float32),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Return the table of which `arrays` gave ``arrays``. Raises KeyError when one is missing."""
        lists = Lists(arrays["follower_starts"], arrays["follower_items"].astype(np.int32))
        return cls(lists, arrays["follower_weights"].astype(np.float64))
