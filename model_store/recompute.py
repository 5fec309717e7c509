"""A model run from zero over whole windows: what every kept state of a recurrent model must equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_store.lookback import lookback_at
from model_store.windows import ROW_BYTES, Rows, rows_of

if TYPE_CHECKING:
    from model_store.serving import ServedModel

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def states_of_windows(model: ServedModel, windows: Sequence[bytes]) -> Floats:
    """Return what `ServedModel.heads` reads behind the last event of each packed window, float32[windows, …].

    Of a recurrent model it is the state, [windows, state_units], else the hidden vector. An empty window
    has zeros.
    """
    if not model.recurrent:
        return model.behind_windows(windows)
    lengths = np.array([len(window) // ROW_BYTES for window in windows], np.int64)
    return states_behind(model, rows_of(windows), lengths.cumsum() - lengths, lengths)


def states_behind(model: ServedModel, rows: Rows, starts: Ints, lengths: Ints) -> Floats:
    """Return the states of a recurrent model behind windows: ``lengths`` of ``rows`` from ``starts`` on.

    Both are [windows], the states float32[windows, state_units]. All windows are stepped side by side, the
    longest first, so that each step takes one whole batch.
    """
    states = model.zero_state(len(lengths))
    order = np.argsort(-lengths, kind="stable")
    position = np.arange(lengths.max(initial=0))[:, None]
    stands = position < lengths[order]  # bool[positions, windows]: so stand the events that are encoded
    place = np.broadcast_to(position, stands.shape)[stands]
    index = (starts[order] + position)[stands]
    past = lookback_at(rows, index, place, model.encoder.lookback_events)
    projected = model.project(model.encoder.encode_for_network(past))
    ordered, first = model.zero_state(len(lengths)), 0
    for running in stands.sum(axis=1).tolist():
        ordered[:running] = model.go_on(ordered[:running], projected[first : first + running])
        first += running
    states[order] = ordered
    return states
