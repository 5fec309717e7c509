"""One step of `model_store.stepping.GruCell` for a few users: what NumPy would do in twenty calls."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare
from model_store.kernels.products import add_product, put

_HALF: Final = np.float32(0.5)
_STEPS: Final = np.float32(2**23)  # as in model_store.stored_states
_LARGEST: Final = np.float32(1 - 2.0**-23)

Floats = npt.NDArray[np.float32]


@compiled_bare
def step_gru(
    state: Floats,
    inputs: Floats,
    kernel: Floats,
    recurrent_kernel: Floats,
    bias: Floats,
    candidate_bias: Floats,
    sums: Floats,
    stepped: Floats,
) -> None:
    """Put the hidden vectors after ``inputs`` [B, I] into ``stepped`` [B, units], as they are stored.

    ``sums`` [2, 3 units] is scratch. The weights are those that the cell keeps: with the halves of
    sigmoid(a) = 0.5 tanh(a / 2) + 0.5 folded into both gates.
    """
    units = state.shape[1]
    from_inputs, from_state = sums[0], sums[1]
    for event in range(len(state)):
        put(bias, from_inputs)
        from_state[:] = 0
        add_product(inputs[event], kernel, from_inputs)
        add_product(state[event], recurrent_kernel, from_state)
        for unit in range(2 * units):
            from_inputs[unit] = np.tanh(from_inputs[unit] + from_state[unit]) * _HALF + _HALF
        for unit in range(units):
            update, reset = from_inputs[unit], from_inputs[units + unit]
            candidate = (from_state[2 * units + unit] + candidate_bias[unit]) * reset
            candidate = np.tanh(candidate + from_inputs[2 * units + unit])
            kept = (state[event, unit] - candidate) * update + candidate
            whole = np.rint(kept * _STEPS) / _STEPS
            stepped[event, unit] = min(max(whole, -_LARGEST), _LARGEST)
