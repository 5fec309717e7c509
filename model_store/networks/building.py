"""A whole network in Keras: how it is built, how it is saved, and which arrays serving gets of it.

Training works on the network that reads item vectors; the saved model puts the item vectors in front and
the probabilities behind. Both are made of standard Keras layers only, so `model.keras` loads anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from model_store.networks.bodies import BODIES, cell_weights
from model_store.networks.heads import build_heads, head_weights, probabilities
from model_store.own_items import OWN_RANKS
from model_store.specification import HIDDEN_OUTPUT, OWN_OFFSETS

if TYPE_CHECKING:
    import numpy.typing as npt

    from model_store.specification import NetworkSpecification


def build_network(specification: NetworkSpecification, dropout: float, seed: int) -> keras.Model:
    """Return the trainable network, without the item vectors.

    It reads ``item_vectors`` float32 [B, T, D], ``event_type`` and ``category`` int32 [B, T] and ``numeric``
    float32 [B, T, F]; it returns the outputs of `heads.build_heads`. ``dropout`` is the share of the inputs
    that training hides.
    """
    keras.utils.set_random_seed(seed)
    inputs = {"item_vectors": keras.Input((None, specification.item_dimensions), name="item_vectors")}
    inputs |= _other_inputs(specification)
    embed = keras.layers.Embedding
    event_type_vectors = embed(
        specification.event_type_count, specification.event_type_dimensions, name="event_type_vectors"
    )(inputs["event_type"])
    category_vectors = embed(
        specification.category_count, specification.category_dimensions, name="category_vectors"
    )(inputs["category"])
    hide = keras.layers.Dropout
    shown_items = hide(dropout, seed=seed, name="hide_items")(inputs["item_vectors"])
    shown_categories = hide(dropout, seed=seed + 1, name="hide_categories")(category_vectors)
    read = keras.layers.Concatenate(name="read")(
        [shown_items, event_type_vectors, shown_categories, inputs["numeric"]]
    )
    body = BODIES[specification.network](specification, read, dropout, seed)
    hidden = keras.layers.Identity(name=HIDDEN_OUTPUT)(body)
    direct = (inputs["event_type"], inputs["numeric"])
    heads = build_heads(specification, hidden, shown_items, *direct, dropout, seed + 2)
    return keras.Model(inputs, heads, name="network")


def build_saved_model(
    specification: NetworkSpecification, network: keras.Model, item_vectors: npt.NDArray[np.float32]
) -> keras.Model:
    """Return the whole model: indices in, probabilities out.

    It reads ``item``, ``event_type`` and ``category`` int32 [B, T] and ``numeric`` float32 [B, T, F], and
    returns at every position the outputs of `heads.probabilities` and ``hidden`` [B, T, H].
    ``item_vectors`` [V, D] are unit vectors.
    """
    inputs = {"item": keras.Input((None,), dtype="int32", name="item"), **_other_inputs(specification)}
    embedding = keras.layers.Embedding(*item_vectors.shape, name="item_vectors")
    others = {name: value for name, value in inputs.items() if name != "item"}
    with_hidden = keras.Model(
        network.input,
        {**network.output, HIDDEN_OUTPUT: network.get_layer(HIDDEN_OUTPUT).output},
        name="network",
    )
    outputs = with_hidden({"item_vectors": embedding(inputs["item"]), **others})
    embedding.set_weights([item_vectors])
    said = probabilities(specification, outputs)
    return keras.Model(inputs, {**said, HIDDEN_OUTPUT: outputs[HIDDEN_OUTPUT]}, name="foreclick")


def serving_weights(
    specification: NetworkSpecification,
    network: keras.Model,
    item_vectors: npt.NDArray[np.float32],
    own_offsets: npt.NDArray[np.float32] | None = None,
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the arrays of `weights.npz`, named as `NetworkSpecification.weight_shapes` names them.

    ``own_offsets`` [OWN_RANKS] are those of `own_places`; None is 0 everywhere.
    """
    weights: dict[str, Any] = {"item_vectors": item_vectors, **head_weights(specification, network)}
    if specification.own_items:
        weights[OWN_OFFSETS] = np.zeros(OWN_RANKS, np.float32) if own_offsets is None else own_offsets
    if not specification.recurrent:
        return weights  # the body is served from the saved model
    for layer in ("event_type_vectors", "category_vectors"):
        (weights[layer],) = network.get_layer(layer).get_weights()
    return weights | cell_weights(specification, network)


def unit_vectors(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the rows of ``vectors`` [V, D] at length 1; a zero row stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: npt.NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-6))
    return units


def _other_inputs(specification: NetworkSpecification) -> dict[str, Any]:
    return {
        "event_type": keras.Input((None,), dtype="int32", name="event_type"),
        "category": keras.Input((None,), dtype="int32", name="category"),
        "numeric": keras.Input((None, specification.numeric_features), name="numeric"),
    }
