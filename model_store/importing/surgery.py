"""The inputs and the heads of somebody's own Keras model, brought into the form that is served.

A `query` [B, T, D] stays as it is, its item vectors those of the layer `item_vectors`. A `next_item`
[B, T, V] must come from the dense layer of that name. What this layer reads becomes the query, and its
kernel the item vectors, since its logits are their inner products; its bias is one number more in each,
where the query has a 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import keras
import numpy as np

from model_store.importing.failures import Failure, refuse

if TYPE_CHECKING:
    from pathlib import Path

    from model_store.stepping import Floats

INDEX_INPUTS: Final = ("item", "event_type", "category")
INPUTS: Final = (*INDEX_INPUTS, "numeric")
ITEM_VECTORS: Final = "item_vectors"
NEXT_ITEM: Final = "next_item"
OUTPUTS: Final = ("next_action", "hazard", "query", NEXT_ITEM)


class ServableModel(NamedTuple):
    """A model whose outputs are among `next_action`, `hazard` and `query`, and the item vectors [V, D].

    Without a query D is 0.
    """

    model: keras.Model
    item_vectors: Floats


def load_checked(path: Path) -> keras.Model:
    """Return the model in ``path``, which `archive.check_archive` let through. Raises `ModelRefusedError`."""
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, AttributeError, ImportError) as error:
        found = f"Keras cannot load it ({' '.join(str(error).split())[:300]})"
        refuse([Failure("file", found, "save it again with this release's Keras")])
        raise


def servable(model: keras.Model, item_count: int) -> ServableModel:
    """Return ``model`` with a query in place of a `next_item`, and its item vectors.

    Raises `ModelRefusedError` where names or the item vectors are not as documented.
    """
    refuse(_name_failures(model))
    outputs = dict(model.output)
    if NEXT_ITEM in outputs:
        model, vectors = _with_query(model, outputs)
    elif "query" in outputs:
        vectors = _embedded(model)
    else:
        vectors = np.zeros((item_count, 0), np.float32)
    refuse(_vector_failures(model, vectors, item_count))
    return ServableModel(model, vectors)


def _name_failures(model: keras.Model) -> list[Failure]:
    failures = []
    for what, found, known in (("inputs", model.input, INPUTS), ("outputs", model.output, OUTPUTS)):
        if not isinstance(found, dict) or not found or set(found) - set(known):
            named = ", ".join(found) if isinstance(found, dict) else "no dict of names"
            cure = f"make them a dict in keras.Model(inputs, outputs), its names among {', '.join(known)}"
            failures.append(Failure(what, f"they are {named}", cure))
    if failures:
        return failures
    if "next_action" not in model.output:
        failures.append(Failure("outputs", "there is no next_action", "add that head"))
    if {"query", NEXT_ITEM} <= set(model.output):
        failures.append(Failure("outputs", "there is a query and a next_item", "keep one of them"))
    return failures


def _embedded(model: keras.Model) -> Floats:
    """Return the weights of the layer `item_vectors`."""
    for layer in model.layers:
        if layer.name == ITEM_VECTORS and len(layer.get_weights()) == 1:
            vectors: Floats = layer.get_weights()[0].astype(np.float32)
            return vectors
    cure = f"name the keras.layers.Embedding of the items {ITEM_VECTORS!r}"
    refuse([Failure("item vectors", f"a query needs a layer {ITEM_VECTORS!r} with one array", cure)])
    raise AssertionError


def _with_query(model: keras.Model, outputs: dict[str, Any]) -> tuple[keras.Model, Floats]:
    """Return a model that gives a query in place of `next_item`, and its item vectors."""
    layer = next((layer for layer in model.layers if layer.name == NEXT_ITEM), None)
    if not isinstance(layer, keras.layers.Dense) or layer.activation not in (
        keras.activations.linear,
        keras.activations.softmax,
    ):
        cure = "let it come from a keras.layers.Dense(items, name='next_item'), linear or softmax"
        refuse([Failure("outputs", "next_item does not come from a dense layer of that name", cure)])
        raise AssertionError
    query, vectors = layer.input, layer.get_weights()[0].T
    if layer.use_bias:
        ones = keras.ops.ones_like(query[..., :1])
        query = keras.ops.concatenate([query, ones], axis=-1)
        vectors = np.concatenate([vectors, layer.get_weights()[1][:, None]], axis=1)
    kept = {name: output for name, output in outputs.items() if name != NEXT_ITEM}
    return keras.Model(model.input, {**kept, "query": query}), np.ascontiguousarray(vectors, np.float32)


def _vector_failures(model: keras.Model, vectors: Floats, item_count: int) -> list[Failure]:
    failures = []
    if len(vectors) != item_count:
        found = f"there are {len(vectors):,} rows, the encoder has {item_count:,} items with the unknown one"
        failures.append(Failure("item vectors", found, "train the model with the encoder that you name"))
    if "query" in model.output and model.output["query"].shape[-1] != vectors.shape[1]:
        found = f"the query has {model.output['query'].shape[-1]} numbers, an item vector {vectors.shape[1]}"
        failures.append(Failure("item vectors", found, "give both the same number"))
    if not np.isfinite(vectors).all():
        failures.append(
            Failure("item vectors", "they are not all finite", "train it with a lower learning rate")
        )
    return failures
