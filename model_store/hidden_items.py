"""Items hidden from windows in training, from which a network learns what an unknown item is like."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model_store.batches import Batch


def hide_items(
    batch: Batch, share: float, generator: np.random.Generator
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """Return the items [B, T] with ``share`` turned into the unknown one, which is learned from nothing else.

    An item is hidden from a whole window or not at all, as one that the vocabulary lacks. Where it is the
    next item of that window too, the catalogue cannot reach it: the second array [Q] tells where it can.
    """
    salt = np.uint32(generator.integers(2**32))
    least = np.uint32(min(int(share * 2**32), 2**32 - 1))
    windows = np.arange(len(batch.item), dtype=np.uint32)
    hidden = _mixed(batch.item, windows[:, None], salt) < least
    next_windows = windows[batch.with_item // batch.item.shape[1]]
    next_hidden = (_mixed(batch.next_item, next_windows, salt) < least) & batch.own.is_next.any(axis=1)
    return np.where(hidden, np.int32(0), batch.item), (batch.next_item > 0) & ~next_hidden


def _mixed(items: npt.NDArray[np.int32], windows: npt.NDArray[np.uint32], salt: np.uint32) -> Any:
    """Return evenly spread 32-bit numbers, the same for the same item, window and salt."""
    bits = items.astype(np.uint32) * np.uint32(2654435761) + windows * np.uint32(2246822519) + salt
    for shift, factor in ((15, 739977581), (12, 695872825)):
        bits ^= bits >> np.uint32(shift)
        bits *= np.uint32(factor)
    return bits ^ (bits >> np.uint32(15))
