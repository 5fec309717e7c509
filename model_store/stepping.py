"""Recurrent cells run one event at a time, on whole batches, from exported weights and without TensorFlow.

A cell keeps nothing between calls: the state goes in and a new state comes out, so one cell may serve
many threads. All arithmetic is float32, and the state is float32 because that is the form in which it
is stored: a state that has been written and read again gives the same next state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from model_store.errors import FormatTooNewError

Floats = npt.NDArray[np.float32]


class RecurrentCell(Protocol):
    """What serving needs of a cell."""

    @property
    def state_units(self) -> int:
        """How many numbers a state holds."""

    def step(self, state: Floats, inputs: Floats) -> Floats:
        """Return the states [batch, state units] after one more event of ``inputs`` [batch, input units]."""


class GruCell:
    """A gated recurrent unit, as Keras computes it with ``reset_after=True``.

    With x the inputs, h the state, * the elementwise product and the gates in the order z, r, h:

        z = sigmoid(x W_z + b_z + h U_z + c_z)
        r = sigmoid(x W_r + b_r + h U_r + c_r)
        n = tanh(x W_h + b_h + r * (h U_h + c_h))
        h' = z * h + (1 - z) * n

    where W is the kernel, U the recurrent kernel, b and c the two rows of the bias. Source: Cho et al. 2014
    (arXiv:1406.1078) with the reset gate behind the product, as in cuDNN and in `keras.layers.GRU`.
    """

    def __init__(self, kernel: Floats, recurrent_kernel: Floats, bias: Floats) -> None:
        """Take the kernel [inputs, 3 units], the recurrent kernel [units, 3 units] and the bias [2, 3 units].

        Raises ValueError when the shapes do not fit one another.
        """
        units = len(recurrent_kernel)
        if (
            recurrent_kernel.shape != (units, 3 * units)
            or kernel.shape != (len(kernel), 3 * units)
            or bias.shape != (2, 3 * units)
        ):
            raise ValueError(f"these weights do not belong to a GRU of {units} units")
        self._units = units
        # sigmoid(a) = 0.5 tanh(a / 2) + 0.5: with the halves folded in, both gates are one fast tanh.
        halves = np.repeat(np.array([0.5, 1.0], np.float32), [2 * units, units])
        self._kernel = np.ascontiguousarray(kernel * halves, np.float32)
        self._recurrent_kernel = np.ascontiguousarray(recurrent_kernel * halves, np.float32)
        gate_bias = (bias[0] + bias[1])[: 2 * units]
        self._bias = np.concatenate([gate_bias, bias[0, 2 * units :]]).astype(np.float32) * halves
        self._candidate_bias = bias[1, 2 * units :].astype(np.float32)

    @property
    def state_units(self) -> int:
        """How many numbers a state holds: the cell's units."""
        return self._units

    def step(self, state: Floats, inputs: Floats) -> Floats:
        """Return float32[batch, units], the states after one more event.

        ``state`` is float32[batch, units], zeros for a user's first event; ``inputs`` is
        float32[batch, input units]. Neither is changed.
        """
        units = self._units
        from_inputs = inputs @ self._kernel  # float32[batch, 3 units]
        from_inputs += self._bias
        from_state = state @ self._recurrent_kernel  # float32[batch, 3 units]
        gates = from_inputs[:, : 2 * units]
        gates += from_state[:, : 2 * units]
        np.tanh(gates, out=gates)
        gates *= np.float32(0.5)
        gates += np.float32(0.5)
        update, reset = gates[:, :units], gates[:, units:]

        candidate = from_state[:, 2 * units :]
        candidate += self._candidate_bias
        candidate *= reset
        candidate += from_inputs[:, 2 * units :]
        np.tanh(candidate, out=candidate)

        stepped = state - candidate
        stepped *= update
        stepped += candidate
        return stepped


def cell_from_weights(cell: str, weights: Mapping[str, Floats]) -> RecurrentCell:
    """Return the cell of that name with its weights, named as in `weights.npz`.

    Raises `FormatTooNewError` when this release knows no such cell.
    """
    if cell != "gru":
        raise FormatTooNewError(f"this release serves no {cell!r} cell: use the release that trained it")
    return GruCell(weights["gru_kernel"], weights["gru_recurrent_kernel"], weights["gru_bias"])
