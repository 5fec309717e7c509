"""What `model_store.served_heads` does between the products of matrices and the exponentials.

Those two are BLAS's and NumPy's, for every batch, so that a prediction does not hang on the batch.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_brief
from model_store.kernels.products import put

_HALF: Final = np.float32(0.5)
_LEAST_SQUARED_LENGTH: Final = np.float32(1e-12)  # as in keras.layers.UnitNormalization

Floats = npt.NDArray[np.float32]


@compiled_brief
def fill_answers(
    outputs: Floats,
    bias: Floats,
    of_type: Floats,
    event_type: npt.NDArray[np.int32],
    of_numeric: Floats,
    next_action: Floats,
    hazard: Floats,
) -> None:
    """Put logits less their largest into ``next_action`` [B, A], half the logits into ``hazard`` [B, bins].

    ``outputs`` [B, at least A + bins] are the products with the hidden vector, ``bias`` theirs; ``of_type``
    [types, A + bins] and ``of_numeric`` [B, A + bins] are added.
    """
    actions, bins = next_action.shape[1], hazard.shape[1]
    for event in range(len(outputs)):
        of_kind = of_type[event_type[event]]
        largest = np.float32(-np.inf)
        for place in range(actions + bins):
            logit = outputs[event, place] + bias[place] + of_kind[place] + of_numeric[event, place]
            if place < actions:
                largest = max(largest, logit)
                next_action[event, place] = logit
            else:
                hazard[event, place - actions] = logit * _HALF
        for place in range(actions):
            next_action[event, place] -= largest


@compiled_brief
def finish_answers(next_action: Floats, hazard: Floats) -> None:
    """Turn exponentials [B, A] into probabilities, and tangents [B, bins] into sigmoid(x)."""
    for event in range(len(next_action)):
        powers, tangents = next_action[event], hazard[event]
        total = np.float32(0)
        for place in range(len(powers)):
            total += powers[place]
        for place in range(len(powers)):
            powers[place] /= total
        for place in range(len(tangents)):
            tangents[place] = tangents[place] * _HALF + _HALF


@compiled_brief
def fill_query(outputs: Floats, bias: Floats, of_item: Floats, query: Floats, own: Floats) -> None:
    """Put the unit vectors into ``query`` [B, D], and what stands behind them into ``own`` [B, own outputs].

    ``outputs`` and ``bias`` end with them; ``of_item`` [B, D + own outputs] is overwritten.
    """
    width, dimensions = of_item.shape[1], query.shape[1]
    first = len(bias) - width
    for event in range(len(query)):
        sums = of_item[event]
        squared = np.float32(0)
        for place in range(width):
            sums[place] += outputs[event, first + place] + bias[first + place]
            if place < dimensions:
                squared += sums[place] * sums[place]
        length = np.sqrt(max(squared, _LEAST_SQUARED_LENGTH))
        for place in range(dimensions):
            query[event, place] = sums[place] / length
        put(sums[dimensions:], own[event])
