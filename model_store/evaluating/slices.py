"""The same measures on parts of the rows: known and unknown users, rare items, short and long windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score

from model_store.evaluating.probabilities import probability_measures
from model_store.evaluating.ranking import DEPTH, popularity_of
from model_store.evaluating.truth import PURCHASE, Truth
from model_store.metrics import recall_at
from model_store.sequences import windows_of
from model_store.windows import row_items

if TYPE_CHECKING:
    from model_store.parts import Part

RARE_COUNT: Final = 5
_LENGTHS: Final = ((1, 1), (2, 5), (6, 10), (11, None))

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class SliceMeasures(msgspec.Struct, frozen=True):
    """A few measures on some of the rows; None where nothing could be measured."""

    rows: int
    accuracy: float | None
    macro_f1: float | None
    purchase_pr_auc: float | None
    item_rows: int
    recall_at_20: float | None


def slices_of(
    part: Part,
    truth: Truth,
    training: Part,
    catalogue: npt.NDArray[np.uint64],
    counts: npt.NDArray[np.float64],
    window_size: int,
) -> dict[str, Flags]:
    """Return which rows of ``truth`` [R] are in each slice, by its name.

    An item is rare if it stood at most five times in ``training``; ``catalogue`` and ``counts`` say
    how often. The item is the one of the row's own event, and for next items the true next one.
    """
    table = part.table
    known = np.isin(truth.user, training.table.user)
    windows = windows_of(table, window_size)
    start = np.repeat(windows.start, windows.length - windows.new_from)
    length = (np.arange(len(table)) - start + 1)[truth.event]
    own = popularity_of(row_items(table.rows)[truth.event], catalogue, counts) <= RARE_COUNT
    following = popularity_of(truth.next_item, catalogue, counts) <= RARE_COUNT
    slices = {
        "users seen in training": known,
        "new users": ~known,
        "rare items": np.where(truth.next_item != 0, following, own),
    }
    for least, most in _LENGTHS:
        name = f"window of {least}" if least == most else f"window of {least} to {most or window_size}"
        slices[name] = (length >= least) & (length <= (most or window_size))
    return slices


def slice_measures(
    chosen: Flags,
    truth: Truth,
    next_action: npt.NDArray[np.float64] | None,
    decided: Ints | None,
    ranks: Ints | None,
    with_items: Ints,
) -> SliceMeasures:
    """Return the measures on the ``chosen`` rows [R]; ``ranks`` are those of the rows ``with_items`` [I]."""
    rows = int(np.count_nonzero(chosen))
    listed = chosen[with_items]
    accuracy = f1 = area = None
    if rows and next_action is not None and decided is not None:
        true = truth.next_action[chosen]
        accuracy = float((next_action[chosen].argmax(axis=1) == true).mean())
        f1 = float(f1_score(true, decided[chosen], average="macro", zero_division=0))
        area = probability_measures(next_action[chosen, PURCHASE], true == PURCHASE).pr_auc
    found = recall_at(ranks[listed], DEPTH) if ranks is not None and listed.any() else None
    return SliceMeasures(rows, accuracy, f1, area, int(np.count_nonzero(listed)), found)
