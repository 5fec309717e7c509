"""The bodies by name: each turns what a network reads of each event into a hidden vector.

The recurrent ones have a cell that serving steps; those in `attention` look at the whole window.

A body is causal: its vector at an event depends on that event and on those before it, never on what
stands behind. Sequences are padded on the right, so no padding changes a vector that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import keras

from model_store.networks.attention import gru_attention, transformer
from model_store.stepping import ARRAYS

if TYPE_CHECKING:
    import numpy.typing as npt

    from model_store.specification import NetworkSpecification

CELL: Final = "cell"

# (specification, what is read [B, T, I], dropout, seed) -> hidden [B, T, units]
Body = Callable[["NetworkSpecification", Any, float, int], Any]


def _recurrent(layer: type[keras.layers.RNN]) -> Body:
    def body(specification: NetworkSpecification, read: Any, _dropout: float, _seed: int) -> Any:
        return layer(specification.units, return_sequences=True, name=CELL)(read)

    return body


BODIES: Final[Mapping[str, Body]] = {
    "simple_rnn": _recurrent(keras.layers.SimpleRNN),
    "lstm": _recurrent(keras.layers.LSTM),
    "gru": _recurrent(keras.layers.GRU),
    "gru_attention": gru_attention,
    "transformer": transformer,
}


def cell_weights(specification: NetworkSpecification, network: keras.Model) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a recurrent network's cell, named as in `weights.npz`."""
    arrays = network.get_layer(CELL).get_weights()
    return {f"{specification.network}_{name}": array for name, array in zip(ARRAYS, arrays, strict=True)}
