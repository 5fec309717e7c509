"""What is refused of somebody's own Keras model, and with which cure."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from model_store.artifacts import ModelStore
from model_store.errors import ModelRefusedError, ModelUnknownError
from model_store.importing.archive import check_archive
from model_store.importing.publishing import import_model
from tests.model_store.network_artifacts import write_network
from tests.model_store.own_models import FEATURES, action, inputs, read


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """A store that holds one trained model, whose encoder the refused ones name."""
    store = ModelStore(tmp_path_factory.mktemp("models"))
    with store.writing("gru") as writing:
        write_network(writing.directory, "gru")
    store.promote("gru", writing.version)
    return store


def bidirectional() -> keras.Model:
    tensors = inputs()
    layer = keras.layers.Bidirectional(keras.layers.GRU(4, return_sequences=True))
    return keras.Model(tensors, {"next_action": action(layer(read(tensors)))})


def looking_ahead() -> keras.Model:
    tensors = inputs()
    seen = keras.layers.Conv1D(4, 3, padding="same")(read(tensors))
    return keras.Model(tensors, {"next_action": action(seen)})


def mixing_windows() -> keras.Model:
    tensors = inputs()
    seen = read(tensors)
    mixed = seen + keras.ops.mean(seen[:, :1], axis=0, keepdims=True)
    return keras.Model(tensors, {"next_action": action(mixed)})


def not_finite() -> keras.Model:
    tensors = inputs()
    model = keras.Model(tensors, {"next_action": action(read(tensors))})
    model.set_weights([np.full_like(array, np.nan) for array in model.get_weights()])
    return model


def with_outputs(**outputs: Callable[[Any], Any]) -> Callable[[], keras.Model]:
    def built() -> keras.Model:
        tensors = inputs()
        seen = read(tensors)
        return keras.Model(tensors, {name: output(seen) for name, output in outputs.items()})

    return built


def small_catalogue() -> keras.Model:
    tensors = inputs()
    items = keras.layers.Embedding(5, 6, name="item_vectors")(tensors["item"])
    return keras.Model(tensors, {"next_action": action(items), "query": keras.layers.Identity()(items)})


def small_embedding() -> keras.Model:
    tensors = inputs()
    return keras.Model(tensors, {"next_action": action(keras.layers.Embedding(5, 6)(tensors["item"]))})


def other_features() -> keras.Model:
    tensors = inputs(features=FEATURES + 1)
    return keras.Model(tensors, {"next_action": action(read(tensors))})


def with_lambda() -> keras.Model:
    tensors = inputs()
    return keras.Model(tensors, {"next_action": keras.layers.Lambda(keras.ops.tanh)(action(read(tensors)))})


def unnamed() -> keras.Model:
    event = keras.Input((None,), dtype="int32")
    return keras.Model(event, action(keras.layers.Embedding(6, 4)(event)))


def dense(count: int, activation: str | None = None, name: str | None = None) -> Callable[[Any], Any]:
    return lambda hidden: keras.layers.Dense(count, activation=activation, name=name)(hidden)


REFUSED: dict[str, tuple[Callable[[], keras.Model], str]] = {
    "reads both ways": (bidirectional, "padding: .*causal layers"),
    "looks ahead": (looking_ahead, "padding: .*causal layers"),
    "mixes windows": (mixing_windows, "batch: .*leave out what mixes windows"),
    "is not finite": (not_finite, "finite: next_action .*learning rate"),
    "has a Lambda": (with_lambda, "layers: 'Lambda' can run code.*without it"),
    "has no names": (unnamed, "inputs: .*make them a dict.*(\n.*)*outputs: .*make them a dict"),
    "counts other features": (other_features, rf"inputs: numeric .*{FEATURES + 1}.*float32 .*{FEATURES}\]"),
    "has logits": (with_outputs(next_action=dense(7)), "next_action: it is no .*; end it with a softmax"),
    "counts other actions": (with_outputs(next_action=dense(5, "softmax")), "outputs: next_action .*5.*make"),
    "has no action": (with_outputs(hazard=dense(24, "sigmoid")), "outputs: there is no next_action"),
    "has another head": (
        with_outputs(next_action=dense(7, "softmax"), price=dense(1)),
        "outputs: .*price.*names among",
    ),
    "has logits of a hazard": (
        with_outputs(next_action=dense(7, "softmax"), hazard=dense(24)),
        "hazard: .*end it with a sigmoid",
    ),
    "hides its item layer": (
        with_outputs(next_action=dense(7, "softmax"), next_item=dense(13, name="items")),
        "next_item does not come from a dense layer",
    ),
    "lacks items": (small_catalogue, "item vectors: there are 5 rows"),
    "embeds too few": (small_embedding, "windows: it cannot be run"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_served_is_refused_with_its_cure(name: str, store: ModelStore, tmp_path: Path) -> None:
    build, message = REFUSED[name]
    build().save(tmp_path / "mine.keras")
    before = store.models()
    with pytest.raises(ModelRefusedError, match=message):
        import_model(tmp_path / "mine.keras", store, ("gru", store.resolve("gru")), "refused")
    assert store.models() == before


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a saved model with another `config.json`."""
    copy = path.with_name("changed.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config)
                content = json.dumps(config).encode()
            new.writestr(name, content)
    return copy


@pytest.mark.parametrize(
    "hidden",
    [
        {"module": "builtins", "class_name": "function", "config": "exec", "registered_name": "function"},
        {"module": "keras.utils", "class_name": "get_file", "config": {}, "registered_name": None},
        {"module": "os", "class_name": "system", "config": {}, "registered_name": None},
        {"module": "keras.layers", "class_name": "Mine", "config": {}, "registered_name": "shop>Mine"},
        {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}},
        {
            "module": "keras.layers",
            "class_name": "TextVectorization",
            "config": {"vocabulary": "/etc/passwd"},
        },
    ],
)
def test_no_class_that_could_run_code_or_read_files_is_loaded(hidden: dict[str, Any], tmp_path: Path) -> None:
    small_embedding().save(tmp_path / "mine.keras")
    check_archive(tmp_path / "mine.keras")

    def hide(config: dict[str, Any]) -> None:
        config["config"]["layers"][-1]["config"]["activation"] = hidden

    with pytest.raises(ModelRefusedError, match=f"layers: '{hidden['class_name']}'"):
        check_archive(rewritten(tmp_path / "mine.keras", hide))


def test_a_file_that_is_no_model_is_refused(store: ModelStore, tmp_path: Path) -> None:
    encoder_from = ("gru", store.resolve("gru"))
    path = tmp_path / "mine.keras"
    with pytest.raises(ModelRefusedError, match="cannot be read"):
        import_model(path, store, encoder_from, "refused")
    path.write_bytes(b"no archive")
    with pytest.raises(ModelRefusedError, match=r"no Keras archive.*model\.save"):
        import_model(path, store, encoder_from, "refused")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(ModelRefusedError, match=r"lacks model\.weights\.h5"):
        import_model(path, store, encoder_from, "refused")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", "no weights")
    with pytest.raises(ModelRefusedError, match="Keras cannot load it"):
        import_model(path, store, encoder_from, "refused")


def test_an_encoder_that_is_not_there_is_named(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(ModelUnknownError, match="0009-00000000"):
        import_model(tmp_path / "mine.keras", store, ("gru", "0009-00000000"), "refused")
