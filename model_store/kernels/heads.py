"""The heads of `model_store.served_heads` for a few events, in one pass."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare
from model_store.kernels.products import add_product, put, sigmoid, softmax

_LEAST_SQUARED_LENGTH: Final = np.float32(1e-12)  # as in keras.layers.UnitNormalization

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int32]


class HeadWeights(NamedTuple):
    """What the heads make of U units, the event's type, its F numbers and its item of D dimensions.

    ``kernel`` [U, outputs] and ``bias`` [outputs] are all heads' together: the actions, the hazard's bins,
    the query, the own items. ``of_type`` [types, actions + bins] and ``of_numeric`` [F, actions + bins] add
    to the first two, and to the last two the vector in ``item_vectors`` [V, D] by ``of_item`` [D, the rest].
    Heads that read no numbers have an ``of_numeric`` of no rows, and zeros ``of_type``.
    """

    kernel: Floats
    bias: Floats
    of_type: Floats
    of_numeric: Floats
    item_vectors: Floats
    of_item: Floats


@compiled_bare
def fill_heads(
    hidden: Floats,
    item: Indices,
    event_type: Indices,
    numeric: Floats,
    weights: HeadWeights,
    sums: Floats,
    next_action: Floats,
    hazard: Floats,
    query: Floats,
    own: Floats,
) -> None:
    """Put what the heads say of ``hidden`` [B, U] into the last four, [B, their outputs], which may be 0.

    ``sums`` [outputs] is scratch.
    """
    actions, bins, dimensions = next_action.shape[1], hazard.shape[1], query.shape[1]
    direct, of_item = sums[: actions + bins], sums[actions + bins :]
    numbers = len(weights.of_numeric)
    for event in range(len(hidden)):
        put(weights.bias, sums)
        add_product(hidden[event], weights.kernel, sums)
        add_product(numeric[event, :numbers], weights.of_numeric, direct)
        of_type = weights.of_type[event_type[event]]
        for place in range(actions + bins):
            direct[place] += of_type[place]
        add_product(weights.item_vectors[item[event]], weights.of_item, of_item)
        put(direct[:actions], next_action[event])
        softmax(next_action[event])
        for place in range(bins):
            hazard[event, place] = sigmoid(direct[actions + place])
        squared = np.float32(0)
        for place in range(dimensions):
            squared += of_item[place] * of_item[place]
        length = np.sqrt(max(squared, _LEAST_SQUARED_LENGTH))
        for place in range(dimensions):
            query[event, place] = of_item[place] / length
        put(of_item[dimensions:], own[event])
