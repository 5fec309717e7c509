"""Parts of the Keras models that somebody might bring along, with the inputs of `small_encoder`."""

from __future__ import annotations

from typing import Any

import keras

from model_store.specification import ACTION_NAMES
from tests.model_store.network_artifacts import ITEMS, small_encoder

FEATURES = small_encoder().numeric_features
Tensors = dict[str, Any]


def inputs(features: int = FEATURES) -> Tensors:
    tensors = {
        name: keras.Input((None,), dtype="int32", name=name) for name in ("item", "event_type", "category")
    }
    return {**tensors, "numeric": keras.Input((None, features), name="numeric")}


def read(tensors: Tensors) -> Any:
    items = keras.layers.Embedding(len(ITEMS), 6, name="item_vectors")(tensors["item"])
    return keras.layers.Concatenate()([items, tensors["numeric"]])


def action(hidden: Any, count: int = len(ACTION_NAMES)) -> Any:
    return keras.layers.Dense(count, activation="softmax")(hidden)
