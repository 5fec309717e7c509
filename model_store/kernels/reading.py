"""What `model_store.recurrent_body` hands its cell: an event's three vectors and its numbers, in a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare, compiled_brief

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int32]


@compiled_brief
def fill_read(
    item: Indices,
    event_type: Indices,
    category: Indices,
    numeric: Floats,
    item_vectors: Floats,
    event_type_vectors: Floats,
    category_vectors: Floats,
    read: Floats,
) -> None:
    """Put the vectors of ``item``, ``event_type``, ``category`` [B] and ``numeric`` [B, F] into ``read``."""
    for event in range(len(read)):
        out = read[event]
        at = _put_row(item_vectors, item[event], out, 0)
        at = _put_row(event_type_vectors, event_type[event], out, at)
        at = _put_row(category_vectors, category[event], out, at)
        _put_row(numeric, event, out, at)


@compiled_bare
def _put_row(matrix: Floats, row: Any, out: Floats, at: Any) -> Any:
    """Copy a row of ``matrix`` to the place ``at`` of ``out``; return where the next thing goes."""
    values, target = matrix[row], out[at:]
    for column in range(np.uint64(len(values))):
        target[column] = values[column]
    return at + len(values)
