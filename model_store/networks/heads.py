"""The heads in Keras: from the hidden vectors to logits and queries, and their arrays for serving.

`model_store.served_heads` is the same in NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import keras

from model_store.own_items import OWN_OUTPUTS

if TYPE_CHECKING:
    import numpy.typing as npt

    from model_store.specification import NetworkSpecification

KNOWN_OUTPUT: Final = "known"


def build_heads(
    specification: NetworkSpecification,
    hidden: Any,
    shown_items: Any,
    event_type: Any,
    numeric: Any,
    dropout: float,
    seed: int,
) -> dict[str, Any]:
    """Return the heads of ``hidden`` [B, T, H] and of the events' items' vectors ``shown_items`` [B, T, D].

    With `direct_inputs`, actions and hazard read ``event_type`` [B, T] and ``numeric`` [B, T, F] too. Of a
    log with times, training hides a share of ``dropout`` of the hidden vector from them: the weight of their
    losses would have them learn it by heart.

    They are the logits ``next_action`` [B, T, A], if the network has that head ``hazard`` [B, T, K],
    the unit vectors ``query`` [B, T, D], and, if the window's own items are candidates, ``own``
    [B, T, OWN_OUTPUTS], what `own_items.own_logits` reads.
    """
    shown = hidden
    if specification.timed:
        shown = keras.layers.Dropout(dropout, seed=seed, name="hide_hidden")(hidden)
    known = _with_direct_inputs(specification, shown, event_type, numeric)
    outputs = {"next_action": keras.layers.Dense(len(specification.action_names), name="action")(known)}
    if specification.hazard_edges_ms:
        outputs["hazard"] = keras.layers.Dense(len(specification.hazard_edges_ms), name="hazard")(known)
    asked = keras.layers.Concatenate(name="ask")([hidden, shown_items])
    query = keras.layers.Dense(specification.item_dimensions, name="query")(asked)
    outputs["query"] = keras.layers.UnitNormalization(name="unit_query")(query)
    if specification.own_items:
        outputs["own"] = keras.layers.Dense(OWN_OUTPUTS, name="own")(asked)
    return outputs


def _with_direct_inputs(
    specification: NetworkSpecification, hidden: Any, event_type: Any, numeric: Any
) -> Any:
    if not specification.direct_inputs:
        return hidden
    flags = keras.layers.Embedding(
        specification.event_type_count,
        specification.event_type_count,
        embeddings_initializer="identity",
        trainable=False,
        name="event_type_flags",
    )(event_type)
    return keras.layers.Concatenate(name=KNOWN_OUTPUT)([hidden, flags, numeric])


def probabilities(specification: NetworkSpecification, outputs: dict[str, Any]) -> dict[str, Any]:
    """Return what the saved model says: the logits of `build_heads` as probabilities, the rest as it is."""
    said: dict[str, Any] = {name: outputs[name] for name in ("query", "own") if name in outputs}
    said["next_action"] = keras.layers.Softmax(name="next_action")(outputs["next_action"])
    if specification.hazard_edges_ms:
        said["hazard"] = keras.layers.Activation("sigmoid", name="hazard")(outputs["hazard"])
    return said


def head_weights(specification: NetworkSpecification, network: keras.Model) -> dict[str, npt.NDArray[Any]]:
    """Return the heads' arrays, named as `NetworkSpecification.weight_shapes` names them."""
    weights = {}
    for head in specification.head_names():
        weights[f"{head}_kernel"], weights[f"{head}_bias"] = network.get_layer(head).get_weights()
    return weights
