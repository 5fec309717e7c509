"""The body of a recurrent network in NumPy: what it reads of an event, and one step of its cell."""

from __future__ import annotations

import numpy as np

from model_store.encoder import Inputs
from model_store.kernels.reading import fill_read
from model_store.specification import NetworkSpecification, Weights
from model_store.stepping import Floats, cell_from_weights


class RecurrentBody:
    """Steps users' states from event to event. Holds no state itself, so threads may share it."""

    def __init__(self, specification: NetworkSpecification, weights: Weights) -> None:
        self._input_dimensions = specification.input_dimensions
        self._cell = cell_from_weights(specification.network, weights)
        self._item_vectors = weights["item_vectors"]
        self._event_type_vectors = weights["event_type_vectors"]
        self._category_vectors = weights["category_vectors"]

    @property
    def state_units(self) -> int:
        """How many numbers a state holds; the hidden vector comes first in it."""
        return self._cell.state_units

    @property
    def projected_units(self) -> int:
        """How many numbers `project` gives of an event."""
        return self._cell.projected_units

    @property
    def bounded(self) -> bool:
        """Whether a state's numbers lie inside -1 to 1."""
        return self._cell.bounded

    def project(self, inputs: Inputs) -> Floats:
        """Return what a step takes of each event beside the state, float32[batch, projected units]."""
        return self._cell.project(self._read(inputs))

    def go_on(self, state: Floats, projected: Floats) -> Floats:
        """Return the states float32[batch, state_units] after one more event of each user."""
        return self._cell.go_on(state, projected)

    def _read(self, inputs: Inputs) -> Floats:
        """Return what the cell reads, float32[batch, input units]: the three vectors and the numbers."""
        read = np.empty((len(inputs.item), self._input_dimensions), np.float32)
        fill_read(
            inputs.item,
            inputs.event_type,
            inputs.category,
            inputs.numeric,
            self._item_vectors,
            self._event_type_vectors,
            self._category_vectors,
            read,
        )
        return read
