"""Every network behind the one interface: causal, blind to padding, and served as the saved Keras model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from model_store.errors import FileAbsentError, FileCorruptError, TrainingError
from model_store.lookback import lookback_of_windows
from model_store.networks.bodies import BODIES
from model_store.networks.building import build_network
from model_store.networks.specifying import specify
from model_store.recompute import states_of_windows
from model_store.serving import ServedModel, served_model_in
from model_store.specification import KERAS_FILE, NETWORKS, WINDOW_NETWORKS
from model_store.windows import ROW_BYTES, pack_row, rows_of
from producers.events import EVENT_TYPES, Event
from tests.model_store.network_artifacts import UNITS, small_encoder, write_network

WINDOW_SIZE = 7
START_MS = 1_700_000_000_000
HEADS = ("next_action", "hazard", "query")


@pytest.fixture(scope="module", params=NETWORKS)
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp(request.param)
    write_network(directory, request.param, window_size=WINDOW_SIZE)
    return directory


@pytest.fixture(scope="module")
def saved(artifact: Path) -> Any:
    return keras.saving.load_model(artifact / KERAS_FILE, compile=False)


@pytest.fixture(scope="module")
def model(artifact: Path) -> ServedModel:
    return served_model_in(artifact, "shop", "1")


def random_windows(count: int, seed: int = 1) -> list[bytes]:
    """Packed windows of every length from 1 to the window size."""
    random = np.random.default_rng(seed)
    return [
        b"".join(
            pack_row(
                Event(
                    event_id=f"{number}-{place}",
                    user_id=f"u{number}",
                    event_type=EVENT_TYPES[int(random.integers(6))],
                    event_time_ms=START_MS + place * int(random.integers(1, 10_000_000)),
                    item_id=f"item-{random.integers(15)}",  # three of them are unknown
                    category="hats" if place % 2 else None,
                    price=float(random.integers(1, 90)),
                )
            )
            for place in range(1 + number % WINDOW_SIZE)
        )
        for number in range(count)
    ]


def keras_inputs(window: bytes) -> dict[str, npt.NDArray[Any]]:
    inputs = small_encoder().encode_window(rows_of(window))
    return {
        "item": inputs.item[None],
        "event_type": inputs.event_type[None],
        "category": inputs.category[None],
        "numeric": inputs.numeric[None],
    }


def padded_inputs(window: bytes, length: int) -> dict[str, npt.NDArray[Any]]:
    missing = length - len(window) // ROW_BYTES
    return {
        name: np.pad(values, [(0, 0), (0, missing), *[(0, 0)] * (values.ndim - 2)])
        for name, values in keras_inputs(window).items()
    }


def outputs(saved: Any, inputs: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.float32]]:
    return {name: np.asarray(value)[0] for name, value in saved(inputs, training=False).items()}


def test_there_is_a_body_for_every_name() -> None:
    assert tuple(BODIES) == NETWORKS


def test_an_unknown_network_is_refused_with_those_that_exist() -> None:
    with pytest.raises(
        TrainingError, match="choose one of simple_rnn, lstm, gru, gru_attention, transformer"
    ):
        specify(
            small_encoder(), network="liquid", units=4, item_dimensions=3, window_size=5, churn_horizon_ms=1
        )


def test_what_stands_behind_an_event_changes_nothing_before_it(saved: Any) -> None:
    window = keras_inputs(random_windows(WINDOW_SIZE)[-1])
    before = outputs(saved, window)
    for place in range(1, WINDOW_SIZE):
        changed = {name: values.copy() for name, values in window.items()}
        changed["item"][0, place] = (changed["item"][0, place] + 1) % 12
        changed["event_type"][0, place] = (changed["event_type"][0, place] + 1) % 6
        changed["numeric"][0, place] += 3.0
        after = outputs(saved, changed)
        for name in (*HEADS, "hidden"):
            np.testing.assert_array_equal(after[name][:place], before[name][:place])
            assert np.abs(after[name][place] - before[name][place]).max() > 1e-4


def test_an_event_changes_what_is_said_behind_it(saved: Any) -> None:
    window = keras_inputs(random_windows(WINDOW_SIZE)[-1])
    before = outputs(saved, window)
    window["event_type"][0, 0] = (window["event_type"][0, 0] + 1) % 6
    assert np.abs(outputs(saved, window)["next_action"][-1] - before["next_action"][-1]).max() > 1e-6


def test_padding_changes_nothing(saved: Any) -> None:
    window = keras_inputs(random_windows(4)[-1])  # four events
    alone = outputs(saved, window)
    for name, values in outputs(saved, padded_inputs(random_windows(4)[-1], WINDOW_SIZE)).items():
        np.testing.assert_allclose(values[:4], alone[name], rtol=0, atol=1e-6)


def test_a_served_model_says_what_the_saved_one_says(saved: Any, model: ServedModel) -> None:
    windows = random_windows(30)
    lengths = [len(window) // ROW_BYTES for window in windows]
    padded = [padded_inputs(window, WINDOW_SIZE) for window in windows]
    said = saved({name: np.concatenate([one[name] for one in padded]) for name in padded[0]}, training=False)
    expected = {name: np.asarray(values)[range(30), np.array(lengths) - 1] for name, values in said.items()}

    states = states_of_windows(model, windows)
    last, lookback = lookback_of_windows(windows)
    heads = model.heads(states, model.encoder.encode(last, lookback))

    for name in HEADS:
        np.testing.assert_allclose(getattr(heads, name), expected[name], rtol=0, atol=1e-5)
    np.testing.assert_allclose(states[:, :UNITS], expected["hidden"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("timed", "hides"), [(True, True), (False, False)])
def test_training_hides_the_hidden_vector_from_the_heads_of_a_log_with_times(
    timed: bool, hides: bool
) -> None:
    specification = specify(
        small_encoder(timed=timed),
        network="gru",
        units=UNITS,
        item_dimensions=4,
        window_size=WINDOW_SIZE,
        churn_horizon_ms=None,
    )
    network = build_network(specification, dropout=0.99, seed=1)
    zeros = np.zeros((1, 40), np.int32)
    inputs = {
        "item_vectors": np.ones((1, 40, 4), np.float32),
        "event_type": zeros,
        "category": zeros,
        "numeric": np.ones((1, 40, specification.numeric_features), np.float32),
    }
    known = keras.Model(network.input, network.get_layer("known").output)
    hidden = known(inputs, training=True).numpy()[..., :UNITS]
    assert (np.mean(hidden == 0) > 0.9) == timed


def test_only_a_recurrent_model_keeps_a_state(model: ServedModel) -> None:
    kept = {"simple_rnn": UNITS, "lstm": 2 * UNITS, "gru": UNITS, "gru_attention": 0, "transformer": 0}
    assert model.state_units == kept[model.specification.network]
    assert model.recurrent == (model.state_units > 0)
    if model.recurrent:
        with pytest.raises(ValueError, match="states_of_windows"):
            model.behind_windows([])
    else:
        with pytest.raises(ValueError, match="cannot be stepped"):
            model.step(model.zero_state(0), model.encoder.encode_window(rows_of(b"")))


def test_an_empty_window_and_no_window_are_no_trouble(model: ServedModel) -> None:
    states = states_of_windows(model, [b"", random_windows(1)[0], b""])
    assert not states[[0, 2]].any()
    assert states[1].any()
    assert len(states_of_windows(model, [])) == 0


@pytest.mark.parametrize("network", WINDOW_NETWORKS)
def test_windows_of_any_number_and_length_are_traced_once(network: str, tmp_path: Path) -> None:
    write_network(tmp_path, network, window_size=WINDOW_SIZE)
    model = served_model_in(tmp_path, "shop", "1")
    body = model._window_body
    assert body is not None
    windows = random_windows(600)  # more than one batch
    whole = states_of_windows(model, windows)
    for count in (1, 2, 17, 520):
        part = states_of_windows(model, windows[:count])
        np.testing.assert_allclose(part, whole[:count], rtol=0, atol=1e-5)
    assert body._last.experimental_get_tracing_count() == 1


def test_a_saved_model_that_is_gone_or_no_model_says_what_to_do(tmp_path: Path) -> None:
    write_network(tmp_path, "gru_attention")
    (tmp_path / KERAS_FILE).write_bytes(b"PK no archive")
    with pytest.raises(FileCorruptError, match="cannot be loaded as a Keras model"):
        served_model_in(tmp_path, "shop", "1")
    (tmp_path / KERAS_FILE).unlink()
    with pytest.raises(FileAbsentError, match="again"):
        served_model_in(tmp_path, "shop", "1")


def test_a_saved_model_with_other_inputs_says_what_to_do(tmp_path: Path) -> None:
    write_network(tmp_path, "gru_attention")
    clicks = keras.Input((None,), dtype="int32", name="clicks")
    keras.Model({"clicks": clicks}, {"hidden": keras.layers.Embedding(3, 8)(clicks)}).save(
        tmp_path / KERAS_FILE
    )
    with pytest.raises(FileCorruptError, match="does not take the inputs"):
        served_model_in(tmp_path, "shop", "1")


def test_a_recurrent_model_is_served_without_tensorflow(tmp_path: Path) -> None:
    write_network(tmp_path, "lstm")
    program = (
        "import sys; from pathlib import Path; from model_store.serving import served_model_in;"
        f"served_model_in(Path({str(tmp_path)!r}), 'shop', '1'); print('tensorflow' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
