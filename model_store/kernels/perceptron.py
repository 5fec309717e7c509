"""A small perceptron, and the pools of `model_store.companion`, event by event.

The products with what it reads are BLAS's, for every batch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare, compiled_brief
from model_store.kernels.products import add_product, sigmoid, softmax

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int32]


class Perceptron(NamedTuple):
    """One hidden layer of H rectified units, which may be none, beside a linear model.

    It reads R numbers: those of the network, those of its own, then a flag for each event type. ``direct`` is
    [R, outputs], ``hidden_kernel`` [R, H], ``hidden_bias`` [H], ``kernel`` [H, outputs], ``bias`` [outputs].
    """

    direct: Floats
    hidden_kernel: Floats
    hidden_bias: Floats
    kernel: Floats
    bias: Floats

    def __call__(self, numbers: Floats, event_type: Indices) -> Floats:
        """Return the logits [batch, outputs] of ``numbers`` [batch, R less types]."""
        read = numbers.shape[1]
        hidden, logits = numbers @ self.hidden_kernel[:read], numbers @ self.direct[:read]
        finish_logits(hidden, event_type, self, read, logits)
        return logits


@compiled_bare
def finish_logits(
    hidden: Floats, event_type: Indices, perceptron: Perceptron, first_flag: int, logits: Floats
) -> None:
    """Add the biases, the flags of the types and what the hidden layer says to ``logits`` [B, outputs].

    ``hidden`` [B, H], which is overwritten, and ``logits`` are the products with the numbers. The flags
    begin at row ``first_flag`` of the kernels.
    """
    for event in range(len(logits)):
        flag = first_flag + event_type[event]
        units, said = hidden[event], logits[event]
        bias, of_flag = perceptron.hidden_bias, perceptron.hidden_kernel[flag]
        for unit in range(np.uint64(len(units))):  # unsigned: no index can count from the end
            units[unit] = max(units[unit] + (bias[unit] + of_flag[unit]), np.float32(0))
        for output in range(len(said)):
            said[output] += perceptron.bias[output] + perceptron.direct[flag, output]
        add_product(units, perceptron.kernel, said)


@compiled_brief
def pool_actions(network: Floats, share: Any, least: Any, logits: Floats) -> None:
    """Turn ``logits`` [B, A] into their pool with the probabilities ``network`` [B, A], as probabilities.

    ``share`` of the logarithms are theirs. Probabilities count as at least ``least``.
    """
    rest = np.float32(1) - share
    for event in range(len(logits)):
        for action in range(logits.shape[1]):
            said = np.log(max(network[event, action], least))
            logits[event, action] = share * logits[event, action] + rest * said
        softmax(logits[event])


@compiled_brief
def pool_purchase(network: Floats, share: Any, least: Any, logits: Floats, pooled: Floats) -> None:
    """Put the pool of ``logits`` [B, 1] with the probabilities ``network`` [B] into ``pooled`` [B].

    Probabilities count as at least ``least`` away from 0 and 1.
    """
    rest = np.float32(1) - share
    for event in range(len(pooled)):
        said = min(max(network[event], least), np.float32(1) - least)
        logit = rest * (np.log(said) - np.log1p(-said))
        pooled[event] = sigmoid(logit + share * logits[event, 0])


@compiled_brief
def fill_purchase(
    next_action: Floats,
    event_type: Indices,
    numeric: Floats,
    kernel: Floats,
    bias: Any,
    least: Any,
    types: int,
    probability: Floats,
) -> None:
    """Put what `SessionPurchase` says into ``probability`` [B]; see there.

    ``kernel`` [A + types + F] are the weights. Probabilities count as at least ``least``.
    """
    actions = next_action.shape[1]
    for event in range(len(probability)):
        logit = bias + kernel[actions + event_type[event]]
        for action in range(actions):
            logit += np.log(max(next_action[event, action], least)) * kernel[action]
        for place in range(numeric.shape[1]):
            logit += numeric[event, place] * kernel[actions + types + place]
        probability[event] = sigmoid(logit)
