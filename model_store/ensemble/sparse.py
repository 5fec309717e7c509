"""Scores of a few items for each event of a batch, without a catalogue-wide array."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class ItemScores(NamedTuple):
    """Scores by event and item, in order of both: ``row``, ``item`` and ``score`` are [S], no pair twice."""

    row: Ints
    item: Ints
    score: Floats

    def at(self, items: Ints) -> Floats:
        """Return the scores of ``items`` [B, C], 0 where there is none."""
        if not len(self.row):
            return np.zeros(items.shape)
        width = int(max(self.item.max(), items.max(initial=0))) + 1
        keys = self.row * width + self.item
        wanted = np.arange(len(items))[:, None] * width + np.maximum(items, 0)
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where((keys[place] == wanted) & (items > 0), self.score[place], 0.0)

    def best(self, rows: int, k: int) -> Ints:
        """Return the ``k`` best items of each of ``rows`` events [rows, k], 0 behind the last."""
        best = np.zeros((rows, k), np.int64)
        order = np.lexsort((self.item, -self.score, self.row))
        row = self.row[order]
        place = place_in_row(row)
        kept = place < k
        best[row[kept], place[kept]] = self.item[order][kept]
        return best


class Lists(NamedTuple):
    """Lists of numbers behind one another: list i is ``values[starts[i] : starts[i + 1]]``."""

    starts: Ints
    values: npt.NDArray[np.int32]

    def joined(self, places: Ints) -> tuple[Ints, Ints]:
        """Return where the values of some lists stand, and which of ``places`` each one comes from."""
        starts = self.starts[places]
        lengths = self.starts[places + 1] - starts
        before = np.cumsum(lengths) - lengths
        return (
            np.arange(lengths.sum()) + np.repeat(starts - before, lengths),
            np.repeat(np.arange(len(places)), lengths),
        )


def lists_of(keys: Ints, values: Ints, count: int) -> Lists:
    """Return ``count`` lists: ``values`` by their ``keys``, in the order given."""
    order = np.argsort(keys, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=count))])
    return Lists(starts.astype(np.int64), values[order].astype(np.int32))


def summed(row: Ints, item: Ints, score: Floats, items: int) -> ItemScores:
    """Return the sums of ``score`` by row and item; items are counted below ``items``."""
    keys, place = np.unique(row * items + item, return_inverse=True)
    sums = np.bincount(place, score, len(keys)).astype(np.float64)
    return ItemScores(keys // items, keys % items, sums)


def place_in_row(row: Ints) -> Ints:
    """Return the place of each entry among those of its row; equal rows stand together."""
    if not len(row):
        return row
    begins = np.flatnonzero(np.diff(row, prepend=-1))
    place: Ints = np.arange(len(row)) - np.repeat(begins, np.diff(np.append(begins, len(row))))
    return place
