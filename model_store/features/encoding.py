"""One pass over a batch's events: the three indices and the features of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model_store.features.dispatch import compute
from model_store.features.seen import Learned, see
from model_store.kernels import compiled_bare
from model_store.kernels.lookup import Table, find
from model_store.kernels.rows import item_of

Ints = npt.NDArray[np.int64]


@compiled_bare
def fill_inputs(
    rows: Any,
    index: Ints,
    length: Ints,
    reads: int,
    items: Table,
    categories: Table,
    learned: Learned,
    features: Ints,
    extra_features: Ints,
    indices: npt.NDArray[np.int32],
    numeric: npt.NDArray[np.float32],
    extra: npt.NDArray[np.float32],
    scratch: Ints,
) -> None:
    """Encode the events at ``index`` [B] of ``rows``, with ``length`` [B] rows of past right before each.

    At most ``reads`` of the past are read. ``features`` [N, 2] are the codes of the features and where each
    one's numbers begin in ``numeric`` [B, F], ``extra_features`` [M, 2] likewise in ``extra`` [B, X].
    ``indices`` [3, B] get the item, the event type, the category; ``scratch`` is [2, types + 1].
    """
    type_counts = scratch[0]
    session_type_counts = scratch[1]
    for event in range(len(index)):
        row = rows[index[event]]
        category = find(np.uint64(row["category"]), categories.keys, categories.slots, categories.shift)
        indices[0, event] = find(item_of(row), items.keys, items.slots, items.shift)
        indices[1, event] = row["event_type"]
        indices[2, event] = category
        past = min(length[event], reads)
        seen = see(learned, rows, index[event], past, category, type_counts, session_type_counts)
        for place in range(len(features)):
            compute(features[place, 0], seen, numeric[event, features[place, 1] :])
        for place in range(len(extra_features)):
            compute(extra_features[place, 0], seen, extra[event, extra_features[place, 1] :])
