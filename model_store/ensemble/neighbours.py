"""The nearest known sessions of many events at once: `model_store.session_knn` over plain arrays.

What differs: a session is its distinct items in order of their newest event, so that a repeat makes no other
item older; and of each item only the newest `CANDIDATES` sessions are kept, which bounds the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt

from model_store.ensemble.sparse import Ints, ItemScores, Lists, lists_of, place_in_row, summed
from model_store.session_knn import CANDIDATES, NEIGHBOURS


class Neighbours:
    """Knows the sessions it was fitted on. It changes nothing afterwards, so threads may share it."""

    def __init__(self, by_session: Lists, by_item: Lists, sizes: Ints, frequency: Ints) -> None:
        self._by_session = by_session
        self._by_item = by_item
        self._sizes = sizes
        self._frequency = frequency
        self._root_size = np.sqrt(np.maximum(sizes, 1))
        self._inverse_frequency = np.log(max(len(sizes), 1) / np.maximum(frequency, 1))

    @classmethod
    def fit(cls, session: Ints, item: Ints, items: int) -> Self:
        """Return a table of the events ``session`` [E] and ``item`` [E], item 0 being none.

        Sessions are numbered from 0, the newest highest; items below ``items``.
        """
        pairs = np.unique(np.stack([session[item > 0], item[item > 0]]), axis=1)
        sessions = int(session.max(initial=-1)) + 1
        sizes = np.bincount(pairs[0], minlength=sessions)
        newest_first = pairs[:, np.lexsort((-pairs[0], pairs[1]))]
        kept = place_in_row(newest_first[1]) < CANDIDATES
        return cls(
            lists_of(pairs[0], pairs[1], sessions),
            lists_of(newest_first[1][kept], newest_first[0][kept], items),
            sizes,
            np.bincount(pairs[1], minlength=items),
        )

    def scores(self, own: Ints) -> ItemScores:
        """Return the scores of the items of the sessions nearest to each of ``own`` [B, M].

        ``own`` are a session's distinct items, newest first, 0 where there is none or it is unknown.
        """
        items, sessions = len(self._frequency), max(len(self._sizes), 1)
        row, place = np.nonzero(own)
        length = (own > 0).sum(axis=1)
        at, source = self._by_item.joined(own[row, place])
        session, row, age = self._by_item.values[at].astype(np.int64), row[source], place_in_row(row)[source]
        keys, newest, group = np.unique(row * sessions + session, return_index=True, return_inverse=True)
        shared = np.bincount(group, 1.0 - age / length[row], len(keys))
        row, session, newest_age = keys // sessions, keys % sessions, age[newest] + 1
        likeness = shared / self._root_size[session]
        # of each row the newest candidates, of those the most alike
        kept = place_in_row(row[::-1])[::-1] < CANDIDATES
        row, session, newest_age, likeness = row[kept], session[kept], newest_age[kept], likeness[kept]
        order = np.lexsort((-session, -likeness, row))
        order = order[place_in_row(row[order]) < NEIGHBOURS]
        at, source = self._by_session.joined(session[order])
        item = self._by_session.values[at].astype(np.int64)
        counted = (likeness[order] / newest_age[order])[source] * self._inverse_frequency[item]
        return summed(row[order][source], item, counted, items)

    def arrays(self) -> dict[str, npt.NDArray[np.int64] | npt.NDArray[np.int32]]:
        """Return the table's arrays by name, from which `of_arrays` makes it again."""
        return {
            "session_starts": self._by_session.starts,
            "session_items": self._by_session.values,
            "item_starts": self._by_item.starts,
            "item_sessions": self._by_item.values,
            "session_sizes": self._sizes,
            "item_frequency": self._frequency,
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[np.int64]]) -> Self:
        """Return the table of which `arrays` gave ``arrays``. Raises KeyError when one is missing."""
        return cls(
            Lists(arrays["session_starts"], arrays["session_items"].astype(np.int32)),
            Lists(arrays["item_starts"], arrays["item_sessions"].astype(np.int32)),
            arrays["session_sizes"],
            arrays["item_frequency"],
        )
