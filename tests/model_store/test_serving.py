"""A served model against its equations in plain Python, against Keras, and from an artifact."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
import pytest

from model_store.artifacts import ModelStore
from model_store.encoder import Encoder, Inputs
from model_store.errors import FileCorruptError
from model_store.features.statistics import EncoderStatistics
from model_store.item_index import ExactIndex, save_item_index
from model_store.serving import ServedModel, load_served_model, served_model_in
from model_store.specification import ACTION_NAMES, NetworkSpecification, save_network
from producers.events import EVENT_TYPES

Weights = dict[str, npt.NDArray[np.float32]]

NUMERIC = 10
ENCODER = Encoder(
    ["", "kettle", "teapot", "cup", "saucer", "spoon"],
    ["", "kitchen", "table"],
    np.ones(6, np.int64),
    EncoderStatistics(2.0, 1.0, timed=True, daily=False, weekly=False),
)


def specification(*, timed: bool = True, direct_inputs: bool = False) -> NetworkSpecification:
    return NetworkSpecification(
        network="gru",
        units=4,
        item_dimensions=3,
        event_type_dimensions=2,
        category_dimensions=2,
        numeric_features=NUMERIC,
        item_count=len(ENCODER.items),
        category_count=len(ENCODER.categories),
        event_type_count=len(EVENT_TYPES),
        window_size=6,
        action_names=ACTION_NAMES,
        hazard_edges_ms=(0, 60_000, 3_600_000) if timed else (),
        churn_horizon_ms=86_400_000 if timed else None,
        item_logit_scale=14.0,
        timed=timed,
        direct_inputs=direct_inputs,
    )


def random_weights(network: NetworkSpecification, seed: int = 1) -> Weights:
    generator = np.random.default_rng(seed)
    shapes = network.weight_shapes()
    weights = {name: generator.normal(0, 0.7, shape).astype(np.float32) for name, shape in shapes.items()}
    weights["item_vectors"] /= np.linalg.norm(weights["item_vectors"], axis=1, keepdims=True)
    return weights


def served(network: NetworkSpecification, weights: Weights) -> ServedModel:
    return ServedModel("tea", "1", 7, network, weights, ENCODER, ExactIndex(weights["item_vectors"]))


def random_inputs(batch: int, seed: int = 2) -> Inputs:
    generator = np.random.default_rng(seed)
    return Inputs(
        item=generator.integers(0, len(ENCODER.items), batch).astype(np.int32),
        event_type=generator.integers(0, len(EVENT_TYPES), batch).astype(np.int32),
        category=generator.integers(0, len(ENCODER.categories), batch).astype(np.int32),
        numeric=generator.normal(size=(batch, NUMERIC)).astype(np.float32),
    )


def write(directory: Path, network: NetworkSpecification, weights: Weights) -> None:
    save_network(directory, network, weights)
    ENCODER.save(directory)
    save_item_index(directory, ExactIndex(weights["item_vectors"]))


def plain_heads(
    weights: Weights, state: list[float], item: int, direct: list[float]
) -> tuple[list[float], list[float], list[float]]:
    """The three heads of one user, number by number, in double precision."""

    def linear(inputs: list[float], head: str) -> list[float]:
        kernel, bias = weights[f"{head}_kernel"].astype(float), weights[f"{head}_bias"].astype(float)
        products = [sum(x * float(w) for x, w in zip(inputs, column, strict=True)) for column in kernel.T]
        return [product + float(b) for product, b in zip(products, bias, strict=True)]

    powers = [math.exp(logit) for logit in linear([*state, *direct], "action")]
    hazard = [1 / (1 + math.exp(-logit)) for logit in linear([*state, *direct], "hazard")]
    asked = linear([*state, *(float(x) for x in weights["item_vectors"][item])], "query")
    length = math.hypot(*asked)
    return [power / sum(powers) for power in powers], hazard, [x / length for x in asked]


@pytest.mark.parametrize("direct_inputs", [False, True])
def test_heads_follow_their_equations(direct_inputs: bool) -> None:
    network = specification(direct_inputs=direct_inputs)
    weights = random_weights(network)
    model = served(network, weights)
    inputs = random_inputs(9)
    state = np.random.default_rng(3).uniform(-1, 1, (9, 4)).astype(np.float32)
    heads = model.heads(state, inputs)
    for row in range(9):
        flags = [float(code == inputs.event_type[row]) for code in range(len(EVENT_TYPES))]
        direct = [*flags, *inputs.numeric[row].astype(float).tolist()] if direct_inputs else []
        own_state = state[row].astype(float).tolist()
        action, hazard, query = plain_heads(weights, own_state, int(inputs.item[row]), direct)
        assert heads.next_action is not None
        assert heads.next_action[row] == pytest.approx(action, abs=1e-6)
        assert heads.hazard is not None
        assert heads.hazard[row] == pytest.approx(hazard, abs=1e-6)
        assert heads.query is not None
        assert heads.query[row] == pytest.approx(query, abs=1e-6)


def test_next_items_are_scaled_cosines_of_the_whole_catalogue() -> None:
    weights = random_weights(specification())
    model = served(specification(), weights)
    query = weights["item_vectors"][2:3]
    indices, logits = model.next_items(query, 10)
    cosines = {item: float(weights["item_vectors"][item] @ query[0]) for item in range(1, 6)}
    expected = sorted(cosines, key=lambda item: -cosines[item])
    assert indices.tolist() == [expected]
    assert logits[0].tolist() == pytest.approx([14 * cosines[item] for item in expected], abs=1e-5)


@pytest.mark.parametrize("batch", [1, 4, 5, 64, 1_000, 8_192])
@pytest.mark.parametrize("reads_more", [False, True])
def test_predictions_do_not_depend_on_the_batch(batch: int, reads_more: bool) -> None:
    network = replace(specification(direct_inputs=reads_more), own_items=reads_more)
    model = served(network, random_weights(network))
    inputs = random_inputs(8_192)
    state = np.random.default_rng(4).uniform(-1, 1, (8_192, 4)).astype(np.float32)
    whole = model.heads(model.step(state, inputs), inputs)
    for start in range(0, min(8_192, 20 * batch), batch):
        places = np.arange(start, min(start + batch, 8_192))
        part = model.heads(model.step(state[places], inputs.take(places)), inputs.take(places))
        for of_part, of_whole in [
            (part.next_action, whole.next_action),
            (part.hazard, whole.hazard),
            (part.query, whole.query),
            *([(part.own, whole.own)] if reads_more else []),
        ]:
            assert of_part is not None
            assert of_whole is not None
            np.testing.assert_allclose(of_part, of_whole[places], rtol=0, atol=1e-6)


def test_an_untimed_model_has_no_churn() -> None:
    network = specification(timed=False)
    model = served(network, random_weights(network))
    heads = model.heads(model.zero_state(2), random_inputs(2))
    assert heads.hazard is None
    assert model.survival is None
    assert heads.next_action is not None
    assert heads.next_action.sum(axis=1) == pytest.approx([1, 1])


def test_an_empty_batch_is_no_trouble() -> None:
    model = served(specification(), random_weights(specification()))
    inputs = random_inputs(0)
    heads = model.heads(model.step(model.zero_state(0), inputs), inputs)
    assert heads.query is not None
    assert model.next_items(heads.query, 5)[0].shape == (0, 5)


def test_the_saved_keras_model_says_the_same() -> None:
    from model_store.networks.building import (
        build_network,
        build_saved_model,
        serving_weights,
        unit_vectors,
    )

    network = specification()
    items = unit_vectors(np.random.default_rng(5).normal(size=(6, 3)).astype(np.float32))
    built = build_network(network, dropout=0.3, seed=6)
    saved = build_saved_model(network, built, items)
    model = served(network, serving_weights(network, built, items))
    windows, length = 5, 6
    inputs = random_inputs(windows * length)
    expected = saved(
        {
            "item": inputs.item.reshape(windows, length),
            "event_type": inputs.event_type.reshape(windows, length),
            "category": inputs.category.reshape(windows, length),
            "numeric": inputs.numeric.reshape(windows, length, NUMERIC),
        }
    )
    state = model.zero_state(windows)
    for place in range(length):
        event = inputs.take(np.arange(windows) * length + place)
        state = model.step(state, event)
        heads = model.heads(state, event)
        for name in ("next_action", "hazard", "query"):
            wanted = np.asarray(expected[name])[:, place]
            np.testing.assert_allclose(getattr(heads, name), wanted, rtol=0, atol=1e-5)


def test_a_stored_version_serves_what_was_written(tmp_path: Path) -> None:
    network, weights = specification(), random_weights(specification())
    store = ModelStore(tmp_path)
    with store.writing("tea") as writing:
        write(writing.directory, network, weights)
    loaded = load_served_model(store, "tea", writing.version)
    assert (loaded.name, loaded.version, loaded.window_size) == ("tea", writing.version, 6)
    assert loaded.action_names == ACTION_NAMES
    assert loaded.encoder.items == ENCODER.items
    inputs = random_inputs(3)
    model = served(network, weights)
    found, wanted = (m.heads(m.step(m.zero_state(3), inputs), inputs) for m in (loaded, model))
    assert found.next_action is not None
    assert wanted.next_action is not None
    assert found.next_action.tolist() == wanted.next_action.tolist()


def test_no_search_of_a_loaded_model_stops_to_look_for_signals(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    with store.writing("tea") as writing:
        write(writing.directory, specification(), random_weights(specification()))
    load_served_model(store, "tea", writing.version)
    # Where somebody looks, faiss says after how many steps of so many operations; else never, that is 2^30.
    assert faiss.InterruptCallback.get_period_hint(1_000_000) == 2**30  # type: ignore[attr-defined]


def test_a_version_that_was_tampered_with_is_not_served(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    with store.writing("tea") as writing:
        write(writing.directory, specification(), random_weights(specification()))
    path = tmp_path / "tea" / "versions" / writing.version / "weights.npz"
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(FileCorruptError, match="SHA-256"):
        load_served_model(store, "tea", writing.version)


def test_fingerprints_tell_models_apart(tmp_path: Path) -> None:
    fingerprints = []
    for name, seed in [("one", 1), ("two", 2), ("again", 1)]:
        directory = tmp_path / name
        directory.mkdir()
        write(directory, specification(), random_weights(specification(), seed))
        fingerprints.append(served_model_in(directory, name, "1").fingerprint)
    one, two, again = fingerprints
    assert one == again
    assert one != two
    assert all(0 < value < 2**32 for value in fingerprints)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    weights = random_weights(specification())
    weights["gru_bias"][0, 0] = np.nan
    write(tmp_path, specification(), weights)
    with pytest.raises(FileCorruptError, match="not finite in gru_bias"):
        served_model_in(tmp_path, "tea", "1")


def test_serving_loads_no_tensorflow() -> None:
    program = "import sys, model_store.serving, model_store.recompute; print('tensorflow' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
