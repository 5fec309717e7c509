"""Next items by the sessions most like this one: the vector session kNN, VS-kNN.

A session is a set of items. The current one weighs each of its items by how near it stands to the end;
a known session is as like it as the weights of the items they share, over the root of its own size. The
likeliest next items are those of the most similar among the newest sessions that share any item, each
session counted by its likeness and by how late the newest shared item came, each item by its inverse
document frequency.

Source: Ludewig and Jannach 2018, "Evaluation of Session-based Recommendation Algorithms"
(arXiv:1803.09587), VS-KNN with the decay 1 / n of the n-th latest item. The root of the known session's
size is that of their cosine S-KNN; the current session's size would not change an order.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NEIGHBOURS: Final = 500
CANDIDATES: Final = 2_500


class _Lists(NamedTuple):
    """Lists of numbers behind one another: list i is ``values[starts[i] : starts[i + 1]]``."""

    starts: Ints
    values: Ints

    def of(self, place: int) -> Ints:
        return self.values[self.starts[place] : self.starts[place + 1]]

    def joined(self, places: Ints) -> tuple[Ints, Ints]:
        """Return the values of some lists, and how many each list gave."""
        starts = self.starts[places]
        lengths = self.starts[places + 1] - starts
        before = np.cumsum(lengths) - lengths
        return self.values[np.arange(lengths.sum()) + np.repeat(starts - before, lengths)], lengths


class SessionKnn:
    """Knows the sessions it was fitted on. It changes nothing afterwards, so threads may share it."""

    def __init__(
        self,
        by_session: _Lists,
        by_item: _Lists,
        *,
        neighbours: int,
        candidates: int,
    ) -> None:
        self._by_session = by_session
        self._by_item = by_item
        self._neighbours = neighbours
        self._candidates = candidates
        sizes = np.diff(by_session.starts)
        frequency = np.diff(by_item.starts)
        self._root_size = np.sqrt(np.maximum(sizes, 1))
        self._inverse_frequency = np.log(max(len(sizes), 1) / np.maximum(frequency, 1))

    @classmethod
    def fit(
        cls,
        session: Ints,
        item: Ints,
        *,
        neighbours: int = NEIGHBOURS,
        candidates: int = CANDIDATES,
    ) -> Self:
        """Return a predictor that knows the events ``session`` [E] and ``item`` [E].

        Sessions are numbered from 0, the newest highest; items from 0. ``candidates`` is how many of the
        newest sessions with a shared item are compared, ``neighbours`` how many of those count.
        """
        pairs = np.unique(np.stack([session, item]), axis=1)
        by_item = np.lexsort((pairs[0], pairs[1]))
        return cls(
            _Lists(_starts(pairs[0]), pairs[1]),
            _Lists(_starts(pairs[1]), pairs[0][by_item]),
            neighbours=neighbours,
            candidates=candidates,
        )

    def next_items(self, session: Ints, k: int) -> Ints:
        """Return up to ``k`` items that may follow ``session``, its items in order, the likeliest first.

        Equal items stand in order of their numbers. Items that no known session holds are passed over;
        if that leaves none, so is the answer.
        """
        items, scores = self.scores(session)
        return items[np.lexsort((items, -scores))[:k]]

    def scores(self, session: Ints) -> tuple[Ints, Floats]:
        """Return the items of the nearest sessions, ascending and each once, and their scores."""
        sessions, likeness = self._nearest(session)
        items, lengths = self._by_session.joined(sessions)
        found, place = np.unique(items, return_inverse=True)
        sums = np.bincount(place, np.repeat(likeness, lengths), len(found)).astype(np.float64)
        scores: Floats = sums * self._inverse_frequency[found]
        return found, scores

    def _nearest(self, session: Ints) -> tuple[Ints, Floats]:
        """Return the nearest sessions and what each of them counts."""
        known, known_items = np.asarray(session, np.int64), len(self._by_item.starts) - 1
        latest = {item: age for age, item in reversed(list(enumerate(known[::-1].tolist(), 1)))}
        kept = [(item, age) for item, age in latest.items() if 0 <= item < known_items]
        # Whoever is among the newest sharing any item is among the newest sharing that item.
        lists = [self._by_item.of(item)[-self._candidates :] for item, _ in kept]
        if not lists:
            return np.empty(0, np.int64), np.empty(0)
        ages = np.repeat([age for _, age in kept], [len(each) for each in lists])
        found, place = np.unique(np.concatenate(lists), return_inverse=True)
        shared = np.bincount(place, 1.0 - (ages - 1) / len(known), len(found))
        newest_age = np.full(len(found), float(len(known)))
        np.minimum.at(newest_age, place, ages)
        found, shared, newest_age = (each[-self._candidates :] for each in (found, shared, newest_age))
        likeness = shared / self._root_size[found]
        chosen = np.lexsort((-found, -likeness))[: self._neighbours]
        counted: Floats = likeness[chosen] / newest_age[chosen]
        return found[chosen], counted


def _starts(numbers: Ints) -> Ints:
    """Return where the list of each number starts once ``numbers`` are in order, and where the last ends."""
    counts = np.bincount(numbers) if len(numbers) else np.empty(0, np.int64)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
