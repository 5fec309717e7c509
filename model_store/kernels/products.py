"""A vector times a small matrix, and what often follows."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare

_HALF: Final = np.float32(0.5)

Floats = npt.NDArray[np.float32]


@compiled_bare
def add_product(vector: Floats, matrix: Floats, sums: Floats) -> None:
    """Add ``vector`` [N] times the first N rows of ``matrix`` [at least N, M] to ``sums`` [M]."""
    for place in range(len(vector)):
        factor, row = vector[place], matrix[place]
        for column in range(np.uint64(len(sums))):  # unsigned: no index can count from the end
            sums[column] += factor * row[column]


@compiled_bare
def put(values: Floats, out: Floats) -> None:
    """Copy ``values`` [N] to the beginning of ``out``."""
    for place in range(len(values)):
        out[place] = values[place]


@compiled_bare
def sigmoid(value: Any) -> Any:
    """Return 1 / (1 + exp(-x)), float32, as 0.5 tanh(x / 2) + 0.5, which cannot overflow."""
    return _HALF * np.tanh(_HALF * value) + _HALF


@compiled_bare
def softmax(logits: Floats) -> None:
    """Turn ``logits`` [N] into their probabilities."""
    largest = logits[0]
    for place in range(1, len(logits)):
        largest = max(largest, logits[place])
    total = np.float32(0)
    for place in range(len(logits)):
        logits[place] = np.exp(logits[place] - largest)
        total += logits[place]
    for place in range(len(logits)):
        logits[place] /= total
