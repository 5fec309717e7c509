"""The form in which hidden states are stored, and to which they are rounded after every event.

A state inside -1 to 1, as GRU and SimpleRNN have it, is stored as whole multiples of 2**-23, 3 bytes a
number. That moves a number by 6e-8 at most, as much as an operation in float32 does; float16 would move it by
2.4e-4. Any other state is stored as float32.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from model_store.kernels.stored_states import BYTES, STEPS, put_whole_steps, take_octets, take_whole_steps

_LARGEST: Final = np.float32(1 - 2.0**-23)

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def rounded(states: Floats) -> Floats:
    """Return ``states`` inside -1 to 1, of any shape, overwritten by what `packed_states` keeps of them."""
    states *= STEPS
    np.rint(states, out=states)
    states /= STEPS
    np.minimum(states, _LARGEST, out=states)
    return np.maximum(states, -_LARGEST, out=states)


def bytes_of_number(*, bounded: bool) -> int:
    """Return how many bytes a number takes in a state that is ``bounded``, inside -1 to 1, or is not."""
    return BYTES if bounded else 4


def packed_states(states: Floats, *, bounded: bool) -> Bytes:
    """Return ``states`` [B, units] in their stored form [B, bytes]. `rounded` ones come back as they were."""
    states = np.ascontiguousarray(states, np.float32)
    if not bounded:
        return states.astype("<f4", copy=False).view(np.uint8)
    octets = np.empty((len(states), BYTES * states.shape[1]), np.uint8)
    put_whole_steps(states, octets)
    return octets


def states_at(packed: Bytes, starts: npt.NDArray[np.int64], units: int, *, bounded: bool) -> Floats:
    """Return the states [B, ``units``] whose stored forms begin at ``starts`` [B] of ``packed``; 0 for -1."""
    if bounded:
        states = np.empty((len(starts), units), np.float32)
        take_whole_steps(packed, starts, states)
        return states
    octets = np.empty((len(starts), 4 * units), np.uint8)
    take_octets(packed, starts, octets)
    return octets.view("<f4").astype(np.float32, copy=False)


def unpacked_states(packed: bytes, units: int, *, bounded: bool) -> Floats:
    """Return the states [B, ``units``] whose stored forms stand one behind another in ``packed``."""
    width = units * bytes_of_number(bounded=bounded)
    starts = np.arange(0, len(packed), width) if width else np.empty(0, np.int64)
    return states_at(np.frombuffer(packed, np.uint8), starts, units, bounded=bounded)
