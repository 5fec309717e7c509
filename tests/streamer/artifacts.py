"""Artifacts of random models, as a model store keeps them."""

from __future__ import annotations

from pathlib import Path

from model_store.artifacts import ModelStore
from model_store.item_index import ExactIndex, save_item_index
from model_store.specification import save_network
from tests.streamer.models import random_model, random_weights


def promote_random_model(root: Path, seed: int, name: str = "gru") -> str:
    """Write a random model into the store at ``root``, make it the champion, and return its version."""
    model = random_model(seed)
    store = ModelStore(root)
    with store.writing(name) as writing:
        model.encoder.save(writing.directory)
        weights = random_weights(model.specification, seed)
        save_network(writing.directory, model.specification, weights)
        save_item_index(writing.directory, ExactIndex(weights["item_vectors"]))
    store.promote(name, writing.version)
    return writing.version
