"""Hidden states of whole windows, run from zero: what every kept state must equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_store.windows import ROW_BYTES, rows_of

if TYPE_CHECKING:
    from model_store.serving import ServedModel


def states_of_windows(model: ServedModel, windows: Sequence[bytes]) -> npt.NDArray[np.float32]:
    """Return the state behind the last event of each packed window, float32[windows, state_units].

    The windows run side by side, the longest first, so each step takes one whole batch. An empty
    window has the zero state.
    """
    lengths = np.array([len(window) // ROW_BYTES for window in windows], dtype=np.int64)
    states = model.zero_state(len(windows))
    if not lengths.any():
        return states
    order = np.argsort(-lengths, kind="stable")
    starts = np.cumsum(lengths[order]) - lengths[order]  # int64[windows], first row of each
    rows = rows_of(windows[index] for index in order)
    inputs = model.encoder.encode_windows(rows, lengths[order])
    ordered = model.zero_state(len(windows))
    for position in range(int(lengths.max())):
        running = int(np.count_nonzero(lengths > position))
        ordered[:running] = model.step(ordered[:running], inputs.take(starts[:running] + position))
    states[order] = ordered
    return states
