"""Somebody's own Keras model: what a worker serves of it is what Keras says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from model_store.artifacts import ModelStore
from model_store.importing.publishing import import_model
from model_store.recompute import states_of_windows
from model_store.serving import ServedModel, load_served_model
from model_store.specification import load_specification
from model_store.windows import ROW_BYTES, pack_row, rows_of
from producers.events import EVENT_TYPES, Event
from tests.model_store.network_artifacts import ITEMS, small_encoder, write_network
from tests.model_store.own_models import action, inputs, read

WINDOW_SIZE = 5
START_MS = 1_700_000_000_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """A store that holds one trained model, whose encoder the imported ones take."""
    store = ModelStore(tmp_path_factory.mktemp("models"))
    with store.writing("gru") as writing:
        write_network(writing.directory, "gru", window_size=WINDOW_SIZE)
    store.promote("gru", writing.version)
    return store


def whole_model() -> keras.Model:
    """Every input and every head, with layers that foreclick's own networks do not have."""
    tensors = inputs()
    kinds = keras.layers.Embedding(6, 3)(tensors["event_type"])
    groups = keras.layers.Embedding(2, 3)(tensors["category"])
    seen = keras.layers.Concatenate()([read(tensors), kinds, groups])
    hidden = keras.layers.Conv1D(8, 3, padding="causal", activation="tanh")(seen)
    hazard = keras.layers.Dense(24, activation="sigmoid")(hidden)
    query = keras.layers.Dense(6)(hidden)
    return keras.Model(tensors, {"next_action": action(hidden), "hazard": hazard, "query": query})


def model_with_logits(*, bias: bool) -> keras.Model:
    tensors = {name: tensor for name, tensor in inputs().items() if name in ("item", "numeric")}
    hidden = keras.layers.LSTM(7, return_sequences=True)(read(tensors))
    logits = keras.layers.Dense(
        len(ITEMS), use_bias=bias, bias_initializer="random_normal", activation="softmax", name="next_item"
    )(hidden)
    return keras.Model(tensors, {"next_action": action(hidden), "next_item": logits})


def imported(store: ModelStore, model: keras.Model, directory: Path) -> ServedModel:
    path = directory / "mine.keras"
    model.save(path)
    version = import_model(path, store, ("gru", store.resolve("gru")), "mine")
    return load_served_model(store, "mine", version)


def random_windows(count: int) -> list[bytes]:
    random = np.random.default_rng(5)
    return [
        b"".join(
            pack_row(
                Event(
                    event_id=f"{number}-{place}",
                    user_id=f"u{number}",
                    event_type=EVENT_TYPES[int(random.integers(6))],
                    event_time_ms=START_MS + place * int(random.integers(1, 10_000_000)),
                    item_id=f"item-{random.integers(15)}",
                    category="hats" if place % 2 else None,
                )
            )
            for place in range(2 + number % (WINDOW_SIZE - 1))
        )
        for number in range(count)
    ]


def said_by_keras(model: keras.Model, window: bytes) -> dict[str, npt.NDArray[np.float32]]:
    encoded = small_encoder().encode_window(rows_of(window))
    given = {name: getattr(encoded, name)[None] for name in model.input}
    return {name: np.asarray(values)[0, -1] for name, values in model(given, training=False).items()}


def heads_of(model: ServedModel, windows: list[bytes]) -> Any:
    last = model.encoder.encode_windows(
        rows_of(b"".join(windows)), np.array([len(w) // ROW_BYTES for w in windows])
    )
    ends = np.cumsum([len(window) // ROW_BYTES for window in windows]) - 1
    return model.heads(states_of_windows(model, windows), last.take(ends))


def test_a_whole_model_is_served_as_keras_runs_it(store: ModelStore, tmp_path: Path) -> None:
    model, windows = whole_model(), random_windows(9)
    served = imported(store, model, tmp_path)

    heads = heads_of(served, windows)

    for place, window in enumerate(windows):
        wanted = said_by_keras(model, window)
        for name, values in wanted.items():
            np.testing.assert_allclose(getattr(heads, name)[place], values, rtol=0, atol=1e-5)
    vectors = model.get_layer("item_vectors").get_weights()[0]
    indices, scores = served.next_items(heads.query, 3)
    logits = heads.query @ vectors.T
    logits[:, 0] = -np.inf
    assert indices.tolist() == np.argsort(-logits, axis=1)[:, :3].tolist()
    np.testing.assert_allclose(scores, -np.sort(-logits, axis=1)[:, :3], rtol=0, atol=1e-5)
    assert served.state_units == 0
    assert served.survival is not None
    assert served.window_size == WINDOW_SIZE


@pytest.mark.parametrize("bias", [True, False])
def test_a_dense_head_over_the_items_becomes_a_query(bias: bool, store: ModelStore, tmp_path: Path) -> None:
    model, windows = model_with_logits(bias=bias), random_windows(6)
    served = imported(store, model, tmp_path)

    heads = heads_of(served, windows)

    indices, scores = served.next_items(heads.query, len(ITEMS) - 1)
    for place, window in enumerate(windows):
        logits = np.log(said_by_keras(model, window)["next_item"][1:])
        assert indices[place].tolist() == (1 + np.argsort(-logits)).tolist()
        # a softmax tells logits up to one number that all items share
        difference = scores[place] - -np.sort(-logits)
        np.testing.assert_allclose(difference, difference[0], rtol=0, atol=1e-4)
    assert heads.hazard is None
    assert served.survival is None


def test_a_model_without_items_says_actions_alone(store: ModelStore, tmp_path: Path) -> None:
    tensors = {"event_type": inputs()["event_type"]}
    hidden = keras.layers.Embedding(6, 4)(tensors["event_type"])
    served = imported(store, keras.Model(tensors, {"next_action": action(hidden)}), tmp_path)
    heads = heads_of(served, random_windows(3))
    assert heads.query is None
    assert heads.next_action.sum(axis=1) == pytest.approx([1, 1, 1])
    specification = load_specification(store.path("mine", served.version))
    assert (specification.network, specification.item_dimensions) == ("imported", 0)
