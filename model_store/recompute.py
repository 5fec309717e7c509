"""A model run from zero over whole windows: what every kept state of a recurrent model must equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_store.windows import ROW_BYTES, rows_of

if TYPE_CHECKING:
    from model_store.serving import ServedModel


def states_of_windows(model: ServedModel, windows: Sequence[bytes]) -> npt.NDArray[np.float32]:
    """Return what `ServedModel.heads` reads behind the last event of each packed window, float32[windows, …].

    Of a recurrent model it is the state, [windows, state_units], else the hidden vector. An empty window
    has zeros.
    """
    return _stepped(model, windows) if model.recurrent else model.behind_windows(windows)


def _stepped(model: ServedModel, windows: Sequence[bytes]) -> npt.NDArray[np.float32]:
    """Step all windows side by side, the longest first, so that each step takes one whole batch."""
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
