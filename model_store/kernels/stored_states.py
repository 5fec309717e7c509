"""The forms of `model_store.stored_states`, number by number."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare, compiled_brief

STEPS: Final = np.float32(2**23)
BYTES: Final = 3

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@compiled_brief
def put_whole_steps(states: Floats, octets: Bytes) -> None:
    """Put ``states`` [B, units], inside -1 to 1, into ``octets`` [B, 3 units]: how many steps each is."""
    for state in range(len(states)):
        numbers, out = states[state], octets[state]
        for unit in range(np.uint64(len(numbers))):
            steps = np.int32(numbers[unit] * STEPS)
            out[np.uint64(3) * unit] = steps & 255
            out[np.uint64(3) * unit + np.uint64(1)] = steps >> 8 & 255
            out[np.uint64(3) * unit + np.uint64(2)] = steps >> 16 & 255


@compiled_brief
def take_whole_steps(packed: Bytes, starts: npt.NDArray[np.int64], states: Floats) -> None:
    """Put what stands in ``packed`` from each of ``starts`` [B] on into ``states`` [B, units], 0 for -1."""
    for state in range(len(states)):
        out = states[state]
        if starts[state] < 0:
            out[:] = 0
            continue
        octets = packed[starts[state] : starts[state] + BYTES * len(out)]
        for unit in range(np.uint64(len(out))):
            low = np.int32(octets[np.uint64(3) * unit])
            middle = np.int32(octets[np.uint64(3) * unit + np.uint64(1)])
            high = np.int32(np.int8(octets[np.uint64(3) * unit + np.uint64(2)]))  # the sign comes along
            out[unit] = np.float32(low | middle << 8 | high << 16) / STEPS


@compiled_bare
def take_octets(packed: Bytes, starts: npt.NDArray[np.int64], octets: Bytes) -> None:
    """Put what stands in ``packed`` from each of ``starts`` [B] on into ``octets`` [B, width], 0 for -1."""
    for state in range(len(octets)):
        out = octets[state]
        if starts[state] < 0:
            out[:] = 0
            continue
        taken = packed[starts[state] : starts[state] + len(out)]
        for place in range(np.uint64(len(out))):
            out[place] = taken[place]
