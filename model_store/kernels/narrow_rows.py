"""Windows without what all their rows share: most columns of a window's bytes hold one value.

A window of n rows becomes a mask of 32 bits, whose bit c tells that byte c differs between rows, then the
first row, then of each further row the bytes that differ.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare

MASK_BYTES: Final = 4

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


@compiled_bare
def narrow(rows: Bytes, counts: Ints, scratch: Ints, out: Bytes, ends: Ints) -> None:
    """Write windows of ``counts`` [W] of ``rows`` [E, width] into ``out``, and where each ends into ``ends``.

    ``scratch`` is [width].
    """
    width = np.uint64(rows.shape[1])
    first = at = 0
    for window in range(len(counts)):
        if counts[window]:
            top = rows[first]
            scratch[:] = 0
            for row in range(first + 1, first + counts[window]):
                current = rows[row]
                for column in range(width):
                    scratch[column] |= top[column] ^ current[column]
            at += _put_first(top, scratch, out, at)
            differing = 0
            for column in range(width):
                if scratch[column]:
                    scratch[differing] = column
                    differing += 1
            for row in range(first + 1, first + counts[window]):
                current, target = rows[row], out[at : at + differing]
                for place in range(np.uint64(differing)):
                    target[place] = current[np.uint64(scratch[place])]
                at += differing
        first += counts[window]
        ends[window] = at


@compiled_bare
def _put_first(top: Bytes, differs: Ints, out: Bytes, at: Any) -> Any:
    """Write the mask and the first row; return how many bytes they are."""
    mask: Any = 0
    for column in range(len(top)):
        mask |= np.int64(differs[column] != 0) << column
        out[at + MASK_BYTES + column] = top[column]
    for byte in range(MASK_BYTES):
        out[at + byte] = (mask >> (8 * byte)) & 255
    return MASK_BYTES + len(top)


@compiled_bare
def widen(narrowed: Bytes, starts: Ints, counts: Ints, scratch: Ints, rows: Bytes) -> None:
    """Put the windows of ``counts`` [W] rows that begin at ``starts`` into ``rows`` [E, width].

    ``scratch`` is [width].
    """
    width = rows.shape[1]
    first = 0
    for window in range(len(counts)):
        if counts[window]:
            at = starts[window]
            differing = 0
            for column in range(width):
                if narrowed[at + column // 8] >> (column % 8) & 1:
                    scratch[differing] = column
                    differing += 1
            at += MASK_BYTES
            top = narrowed[at : at + width]
            at += width
            for row in range(first, first + counts[window]):
                target = rows[row]
                for column in range(np.uint64(width)):
                    target[column] = top[column]
                if row > first:
                    current = narrowed[at : at + differing]
                    for place in range(np.uint64(differing)):
                        target[np.uint64(scratch[place])] = current[place]
                    at += differing
        first += counts[window]
