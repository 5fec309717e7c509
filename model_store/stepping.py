"""Recurrent cells run one event at a time, on whole batches, from exported weights and without TensorFlow.

A cell keeps nothing between calls: the state goes in and a new state comes out, so one cell may serve
many threads. All arithmetic is float32, and a new state is rounded to the form in which it is stored
(`stored_states`): a state that has been written and read again gives the same next state.

In the formulas x are the inputs, h the hidden vector, * is the elementwise product, W the kernel, U the
recurrent kernel and b the bias; the parts of W, U and b for one gate carry its letter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Final, Protocol

import numpy as np
import numpy.typing as npt

from model_store.errors import FormatTooNewError
from model_store.kernels.gru import fill_candidate, fill_gates, fill_stepped
from model_store.stored_states import rounded

Floats = npt.NDArray[np.float32]
Shape = tuple[int, ...]


class RecurrentCell(Protocol):
    """What serving needs of a cell."""

    @property
    def bounded(self) -> bool:
        """Whether a state's numbers lie inside -1 to 1, as `stored_states` takes them."""

    @property
    def state_units(self) -> int:
        """How many numbers a state holds. The hidden vector comes first in it."""

    @property
    def projected_units(self) -> int:
        """How many numbers `project` gives of an event."""

    def step(self, state: Floats, inputs: Floats) -> Floats:
        """Return the states [batch, state units] after one more event of ``inputs`` [batch, input units].

        The states of users' first events are zeros. Neither argument is changed. It is `go_on` behind
        `project`.
        """

    def project(self, inputs: Floats) -> Floats:
        """Return the part of a step that hangs on ``inputs`` alone, [batch, projected units].

        So many events of one user can have it at once, though each one's step waits for the one before.
        """

    def go_on(self, state: Floats, projected: Floats) -> Floats:
        """Return the states [batch, state units] after one more event, whose `project` is ``projected``."""


class _SteppedCell(ABC):
    """A step in its two parts."""

    _kernel: Floats

    def step(self, state: Floats, inputs: Floats) -> Floats:
        """See `RecurrentCell`."""
        return self.go_on(state, self.project(inputs))

    def project(self, inputs: Floats) -> Floats:
        """See `RecurrentCell`."""
        projected: Floats = inputs @ self._kernel
        return projected

    @property
    def projected_units(self) -> int:
        """See `RecurrentCell`."""
        return int(self._kernel.shape[1])

    @abstractmethod
    def go_on(self, state: Floats, projected: Floats) -> Floats:
        """See `RecurrentCell`."""


class SimpleRnnCell(_SteppedCell):
    """A plain recurrent unit: h' = tanh(x W + h U + b). Source: Elman 1990; `keras.layers.SimpleRNN`."""

    gates: ClassVar = 1
    bias_rows: ClassVar = 0
    bounded = True

    def __init__(self, kernel: Floats, recurrent_kernel: Floats, bias: Floats) -> None:
        """Take the kernel [inputs, units], the recurrent kernel [units, units] and the bias [units].

        Raises ValueError when the shapes do not fit one another.
        """
        self._units = _checked_units(type(self), kernel, recurrent_kernel, bias)
        self._kernel = np.ascontiguousarray(kernel, np.float32)
        self._recurrent_kernel = np.ascontiguousarray(recurrent_kernel, np.float32)
        self._bias = bias.astype(np.float32)

    @property
    def state_units(self) -> int:
        """How many numbers a state holds: the cell's units."""
        return self._units

    def go_on(self, state: Floats, projected: Floats) -> Floats:
        """Return the hidden vectors float32[batch, units] after one more event; see `RecurrentCell`."""
        stepped: Floats = state @ self._recurrent_kernel
        stepped += projected
        stepped += self._bias
        return rounded(np.tanh(stepped, out=stepped))


class LstmCell(_SteppedCell):
    """A long short-term memory, as `keras.layers.LSTM` computes it. A state is h and c, one after another.

    With the gates in the order i, f, g, o:

        i = sigmoid(x W_i + h U_i + b_i)        and f and o alike
        g = tanh(x W_g + h U_g + b_g)
        c' = f * c + i * g
        h' = o * tanh(c')

    Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000.
    """

    gates: ClassVar = 4
    bias_rows: ClassVar = 0
    bounded = False

    def __init__(self, kernel: Floats, recurrent_kernel: Floats, bias: Floats) -> None:
        """Take the kernel [inputs, 4 units], the recurrent kernel [units, 4 units] and the bias [4 units].

        Raises ValueError when the shapes do not fit one another.
        """
        units = self._units = _checked_units(type(self), kernel, recurrent_kernel, bias)
        # sigmoid(a) = 0.5 tanh(a / 2) + 0.5: with the halves folded in, all gates are one fast tanh.
        halves = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], np.float32), units)
        self._kernel = np.ascontiguousarray(kernel * halves, np.float32)
        self._recurrent_kernel = np.ascontiguousarray(recurrent_kernel * halves, np.float32)
        self._bias = bias.astype(np.float32) * halves

    @property
    def state_units(self) -> int:
        """How many numbers a state holds: twice the cell's units."""
        return 2 * self._units

    def go_on(self, state: Floats, projected: Floats) -> Floats:
        """Return the states float32[batch, 2 units] after one more event; see `RecurrentCell`."""
        units = self._units
        gates = state[:, :units] @ self._recurrent_kernel  # float32[batch, 4 units]
        gates += projected
        gates += self._bias
        np.tanh(gates, out=gates)
        candidate = gates[:, 2 * units : 3 * units].copy()
        gates *= np.float32(0.5)
        gates += np.float32(0.5)
        stepped = np.empty_like(state)
        hidden, carry = stepped[:, :units], stepped[:, units:]
        np.multiply(state[:, units:], gates[:, units : 2 * units], out=carry)
        candidate *= gates[:, :units]
        carry += candidate
        np.tanh(carry, out=hidden)
        hidden *= gates[:, 3 * units :]
        return stepped


class GruCell(_SteppedCell):
    """A gated recurrent unit, as `keras.layers.GRU` computes it with ``reset_after=True``.

    With the gates in the order z, r, n, and b and c the two rows of the bias:

        z = sigmoid(x W_z + b_z + h U_z + c_z)  and r alike
        n = tanh(x W_n + b_n + r * (h U_n + c_n))
        h' = z * h + (1 - z) * n

    Source: Cho et al. 2014 (arXiv:1406.1078) with the reset gate behind the product, as in cuDNN.
    """

    gates: ClassVar = 3
    bias_rows: ClassVar = 2
    bounded = True

    def __init__(self, kernel: Floats, recurrent_kernel: Floats, bias: Floats) -> None:
        """Take the kernel [inputs, 3 units], the recurrent kernel [units, 3 units] and the bias [2, 3 units].

        Raises ValueError when the shapes do not fit one another.
        """
        units = self._units = _checked_units(type(self), kernel, recurrent_kernel, bias)
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

    def go_on(self, state: Floats, projected: Floats) -> Floats:
        """Return the hidden vectors float32[batch, units] after one more event; see `RecurrentCell`."""
        units, count = self._units, len(state)
        state = np.ascontiguousarray(state)
        from_state = state @ self._recurrent_kernel  # float32[batch, 3 units]
        gates = np.empty((count, 2 * units), np.float32)
        fill_gates(projected, from_state, self._bias, gates)
        np.tanh(gates, out=gates)
        candidate = np.empty((count, units), np.float32)
        fill_candidate(projected, from_state, self._bias, self._candidate_bias, gates, candidate)
        np.tanh(candidate, out=candidate)
        stepped = np.empty((count, units), np.float32)
        fill_stepped(state, gates, candidate, stepped)
        return stepped


_Cell = type[SimpleRnnCell] | type[LstmCell] | type[GruCell]
CELLS: Final[Mapping[str, _Cell]] = {"simple_rnn": SimpleRnnCell, "lstm": LstmCell, "gru": GruCell}
ARRAYS: Final = ("kernel", "recurrent_kernel", "bias")


def cell_weight_shapes(network: str, inputs: int, units: int) -> dict[str, Shape]:
    """Return the name and shape of every array of the cell of ``network``, as in `weights.npz`."""
    shapes = _shapes(CELLS[network], inputs, units)
    return {f"{network}_{name}": shape for name, shape in zip(ARRAYS, shapes, strict=True)}


def cell_from_weights(network: str, weights: Mapping[str, Floats]) -> RecurrentCell:
    """Return the cell of ``network`` with its weights, named as in `weights.npz`.

    Raises `FormatTooNewError` when this release knows no such cell.
    """
    if network not in CELLS:
        raise FormatTooNewError(f"this release serves no {network!r} cell: use the release that trained it")
    return CELLS[network](*(weights[f"{network}_{name}"] for name in ARRAYS))


def _shapes(cell: _Cell, inputs: int, units: int) -> tuple[Shape, Shape, Shape]:
    """Return the shapes of the kernel, the recurrent kernel and the bias."""
    columns = cell.gates * units
    return (inputs, columns), (units, columns), (cell.bias_rows, columns) if cell.bias_rows else (columns,)


def _checked_units(cell: _Cell, kernel: Floats, recurrent_kernel: Floats, bias: Floats) -> int:
    """Return the units of the cell that these arrays are of. Raises ValueError when they are of none."""
    units = len(recurrent_kernel)
    if (kernel.shape, recurrent_kernel.shape, bias.shape) != _shapes(cell, len(kernel), units):
        raise ValueError(f"these weights do not belong to a {cell.__name__} of {units} units")
    return units
