"""The form in which hidden states are stored, and to which they are rounded after every event.

A state inside -1 to 1, as GRU and SimpleRNN have it, is stored as whole multiples of 2**-23, 3 bytes a
number. That moves a number by 6e-8 at most, as much as an operation in float32 does; float16 would move it by
2.4e-4. Any other state is stored as float32.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

_STEPS: Final = np.float32(2**23)
_LARGEST: Final = np.float32(1 - 2.0**-23)

Floats = npt.NDArray[np.float32]


def rounded(states: Floats) -> Floats:
    """Return ``states`` inside -1 to 1, of any shape, overwritten by what `packed_states` keeps of them."""
    states *= _STEPS
    np.rint(states, out=states)
    states /= _STEPS
    np.minimum(states, _LARGEST, out=states)
    return np.maximum(states, -_LARGEST, out=states)


def bytes_of_number(*, bounded: bool) -> int:
    """Return how many bytes a number takes in a state that is ``bounded``, inside -1 to 1, or is not."""
    return 3 if bounded else 4


def packed_states(states: Floats, *, bounded: bool) -> list[bytes]:
    """Return each of ``states`` [B, units] in its stored form. `rounded` ones come back as they were."""
    width = states.shape[1] * bytes_of_number(bounded=bounded)
    if bounded:
        numbers = (states * _STEPS).astype("<i4")
        octets = numbers.view(np.uint8).reshape(*states.shape, 4)[:, :, :3]
        packed = octets.tobytes()
    else:
        packed = states.astype("<f4", copy=False).tobytes()
    return [packed[place * width : (place + 1) * width] for place in range(len(states))]


def unpacked_states(packed: bytes, units: int, *, bounded: bool) -> Floats:
    """Return the states [B, ``units``] whose stored forms stand one behind another in ``packed``."""
    if not bounded:
        return np.frombuffer(packed, "<f4").reshape(-1, units).copy()
    octets = np.frombuffer(packed, np.uint8).reshape(-1, units, 3)
    numbers = np.zeros((*octets.shape[:2], 4), np.uint8)
    numbers[:, :, 1:] = octets
    signed = numbers.view("<i4")[:, :, 0] >> 8  # the sign comes along
    return signed.astype(np.float32) / _STEPS
