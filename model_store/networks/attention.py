"""Bodies that look at the whole window: attention over a GRU's outputs, and a causal Transformer.

Both attend to an event and to those before it only. Made of standard Keras layers and operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import keras

if TYPE_CHECKING:
    from model_store.specification import NetworkSpecification

HEADS: Final = 2
BLOCKS: Final = 2
_WIDENING: Final = 2  # units between the two layers of a feed-forward part, per unit
_LAYER_NORM_EPSILON: Final = 1e-6


def gru_attention(specification: NetworkSpecification, read: Any, dropout: float, seed: int) -> Any:
    """Return a GRU's outputs plus what they attend to among those up to the event, [B, T, units].

    Close to the local encoder of NARM (Li et al. 2017, arXiv:1711.04725), with scaled dot products.
    """
    states = keras.layers.GRU(specification.units, return_sequences=True, name="cell")(read)
    attended = _attention(specification, "attention", dropout, seed)(states)
    return keras.layers.Add(name="states_and_attended")([states, attended])


def transformer(specification: NetworkSpecification, read: Any, dropout: float, seed: int) -> Any:
    """Return a causal Transformer's outputs, [B, T, units].

    As SASRec (Kang & McAuley 2018, arXiv:1808.09781): learned positions, here counted from the window's
    first event, and two blocks of self-attention and a feed-forward part, each behind a layer normalisation.
    """
    units, layers = specification.units, keras.layers
    places = layers.Embedding(specification.window_size, units, name="place_vectors")(_places(read))
    hidden = layers.Add(name="placed")([layers.Dense(units, name="entry")(read), places])
    for block in range(BLOCKS):
        name = f"block_{block}"
        seeds = seed + 10 * (block + 1)
        normed = _normalised(f"{name}_attention_norm")(hidden)
        hidden = layers.Add()(
            [hidden, _attention(specification, f"{name}_attention", dropout, seeds)(normed)]
        )
        normed = _normalised(f"{name}_forward_norm")(hidden)
        widened = layers.Dense(_WIDENING * units, activation="relu", name=f"{name}_widen")(normed)
        forward = layers.Dense(units, name=f"{name}_narrow")(widened)
        forward = layers.Dropout(dropout, seed=seeds + 1, name=f"{name}_hide")(forward)
        hidden = layers.Add()([hidden, forward])
    return _normalised("exit_norm")(hidden)


def _attention(specification: NetworkSpecification, name: str, dropout: float, seed: int) -> Any:
    """Return a function from [B, T, units] to what each place attends to up to itself, [B, T, units]."""
    layer = keras.layers.MultiHeadAttention(
        HEADS, max(1, specification.units // HEADS), dropout=dropout, seed=seed, name=name
    )
    return lambda hidden: layer(hidden, hidden, use_causal_mask=True)


def _normalised(name: str) -> keras.layers.Layer:
    return keras.layers.LayerNormalization(epsilon=_LAYER_NORM_EPSILON, name=name)


def _places(read: Any) -> Any:
    """Return each event's place in its window, int32 [B, T], from 0."""
    ones = keras.ops.ones_like(keras.ops.max(read, axis=-1), dtype="int32")
    return keras.ops.subtract(keras.ops.cumsum(ones, axis=1), 1)
