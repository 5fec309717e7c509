"""What `model_store.stepping.GruCell` does between the products of matrices and the hyperbolic tangents.

Those two are BLAS's and NumPy's, for every batch, so that a user's state does not hang on the batch.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_brief

_HALF: Final = np.float32(0.5)
_STEPS: Final = np.float32(2**23)  # as in model_store.stored_states
_LARGEST: Final = np.float32(1 - 2.0**-23)

Floats = npt.NDArray[np.float32]


@compiled_brief
def fill_gates(from_inputs: Floats, from_state: Floats, bias: Floats, gates: Floats) -> None:
    """Put what both gates take the tangent of into ``gates`` [B, 2 units].

    ``from_inputs`` and ``from_state`` [B, 3 units] are the products, ``bias`` [3 units].
    """
    for event in range(len(gates)):
        inputs, state, out = from_inputs[event], from_state[event], gates[event]
        for unit in range(np.uint64(len(out))):  # unsigned: no index can count from the end
            out[unit] = inputs[unit] + bias[unit] + state[unit]


@compiled_brief
def fill_candidate(
    from_inputs: Floats, from_state: Floats, bias: Floats, candidate_bias: Floats, gates: Floats, out: Floats
) -> None:
    """Put what the candidate is the tangent of into ``out`` [B, units]; ``gates`` are tangents by here."""
    units = out.shape[1]
    input_bias = bias[2 * units :]
    for event in range(len(out)):
        inputs, state = from_inputs[event, 2 * units :], from_state[event, 2 * units :]
        reset, candidate = gates[event, units:], out[event]
        for unit in range(np.uint64(units)):
            kept = (state[unit] + candidate_bias[unit]) * (reset[unit] * _HALF + _HALF)
            candidate[unit] = kept + (inputs[unit] + input_bias[unit])


@compiled_brief
def fill_stepped(state: Floats, gates: Floats, candidates: Floats, stepped: Floats) -> None:
    """Put the hidden vectors after the event into ``stepped`` [B, units], in their stored form."""
    for event in range(len(stepped)):
        before, update, candidate = state[event], gates[event], candidates[event]
        out = stepped[event]
        for unit in range(np.uint64(len(out))):
            kept = (before[unit] - candidate[unit]) * (update[unit] * _HALF + _HALF) + candidate[unit]
            whole = np.rint(kept * _STEPS) / _STEPS
            out[unit] = min(max(whole, -_LARGEST), _LARGEST)
