"""Finding fingerprints by open addressing (Knuth, The Art of Computer Programming 3, sec. 6.4)."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare, compiled_brief

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)  # spreads fingerprints whose high bits are all 0

Keys = npt.NDArray[np.uint64]
Slots = npt.NDArray[np.int32]


class Table(NamedTuple):
    """``keys`` [1 + N] with their places in ``slots``, and the ``shift`` that tells where to look first."""

    keys: Keys
    slots: Slots
    shift: Any


@compiled_bare
def fill_slots(keys: Keys, slots: Slots, shift: Any) -> None:
    """Put the places 1, 2, ... of ``keys`` [1 + N] into ``slots`` [2 ** bits], of zeros, more than N.

    ``shift`` is np.uint64(64 - bits). Of equal keys the first one stays.
    """
    mask = len(slots) - 1
    for index in range(1, len(keys)):
        at = np.int64((keys[index] * _GOLDEN) >> shift)
        while slots[at] != 0 and keys[slots[at]] != keys[index]:
            at = (at + 1) & mask
        if slots[at] == 0:
            slots[at] = index


@compiled_bare
def find(key: Any, keys: Keys, slots: Slots, shift: Any) -> Any:
    """Return the place of ``key`` in ``keys``, 0 where it is not there; see `fill_slots`."""
    mask = len(slots) - 1
    at = np.int64((key * _GOLDEN) >> shift)
    while slots[at] != 0:
        if keys[slots[at]] == key:
            return slots[at]
        at = (at + 1) & mask
    return np.int32(0)


@compiled_brief
def find_all(wanted: Keys, keys: Keys, slots: Slots, shift: Any, found: Slots) -> None:
    """Put `find` of each of ``wanted`` [B] into ``found`` [B]."""
    for place in range(len(wanted)):
        found[place] = find(wanted[place], keys, slots, shift)
