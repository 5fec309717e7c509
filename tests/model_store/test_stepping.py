"""Each cell's step against the published equations in plain Python, and against Keras itself."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from model_store.errors import FormatTooNewError
from model_store.stepping import (
    CELLS,
    GruCell,
    LstmCell,
    RecurrentCell,
    SimpleRnnCell,
    cell_from_weights,
    cell_weight_shapes,
)

UNITS, INPUTS = 5, 7
Floats = npt.NDArray[np.float32]
Weights = dict[str, Floats]
Numbers = list[float]


def random_weights(network: str, seed: int, units: int = UNITS, inputs: int = INPUTS) -> Weights:
    generator = np.random.default_rng(seed)
    shapes = cell_weight_shapes(network, inputs, units)
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def random_cell(network: str, seed: int) -> RecurrentCell:
    return cell_from_weights(network, random_weights(network, seed))


def sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value))


def column_sums(values: Numbers, kernel: Floats, bias: Floats) -> Numbers:
    """values @ kernel + bias, number by number, in double precision."""
    columns = kernel.astype(float).T.tolist()
    return [
        sum(value * weight for value, weight in zip(values, column, strict=True)) + float(offset)
        for column, offset in zip(columns, bias, strict=True)
    ]


def simple_rnn_step(weights: Weights, state: Numbers, inputs: Numbers) -> Numbers:
    summed = column_sums(
        [*inputs, *state],
        np.concatenate([weights["simple_rnn_kernel"], weights["simple_rnn_recurrent_kernel"]]),
        weights["simple_rnn_bias"],
    )
    return [math.tanh(value) for value in summed]


def lstm_step(weights: Weights, state: Numbers, inputs: Numbers) -> Numbers:
    units = len(state) // 2
    hidden, carry = state[:units], state[units:]
    summed = column_sums(
        [*inputs, *hidden],
        np.concatenate([weights["lstm_kernel"], weights["lstm_recurrent_kernel"]]),
        weights["lstm_bias"],
    )
    carried = [
        sigmoid(summed[units + unit]) * carry[unit]
        + sigmoid(summed[unit]) * math.tanh(summed[2 * units + unit])
        for unit in range(units)
    ]
    shown = [sigmoid(summed[3 * units + unit]) * math.tanh(carried[unit]) for unit in range(units)]
    return [*shown, *carried]


def gru_step(weights: Weights, state: Numbers, inputs: Numbers) -> Numbers:
    units = len(state)
    of_inputs = column_sums(inputs, weights["gru_kernel"], weights["gru_bias"][0])
    of_state = column_sums(state, weights["gru_recurrent_kernel"], weights["gru_bias"][1])
    stepped = []
    for unit in range(units):
        update = sigmoid(of_inputs[unit] + of_state[unit])
        reset = sigmoid(of_inputs[units + unit] + of_state[units + unit])
        candidate = math.tanh(of_inputs[2 * units + unit] + reset * of_state[2 * units + unit])
        stepped.append(update * state[unit] + (1 - update) * candidate)
    return stepped


PLAIN_STEPS: dict[str, Callable[[Weights, Numbers, Numbers], Numbers]] = {
    "simple_rnn": simple_rnn_step,
    "lstm": lstm_step,
    "gru": gru_step,
}


@pytest.mark.parametrize("network", CELLS)
def test_a_sequence_of_steps_follows_the_equations(network: str) -> None:
    weights = random_weights(network, seed=1)
    sequence = np.random.default_rng(2).normal(size=(12, INPUTS)).astype(np.float32)
    cell = cell_from_weights(network, weights)
    state, expected = np.zeros((1, cell.state_units), np.float32), [0.0] * cell.state_units
    for event in sequence:
        state = cell.step(state, event[None])
        expected = PLAIN_STEPS[network](weights, expected, event.tolist())
        assert state[0] == pytest.approx(expected, abs=5e-6)


def test_without_weights_a_gru_halves_its_state() -> None:
    cell = GruCell(np.zeros((1, 3), np.float32), np.zeros((1, 3), np.float32), np.zeros((2, 3), np.float32))
    stepped = cell.step(np.array([[0.8]], np.float32), np.array([[5.0]], np.float32))
    assert stepped.tolist() == [[pytest.approx(0.4)]]  # z = 0.5 and the candidate is 0


def test_without_weights_an_lstm_halves_what_it_carries_and_shows_half_its_tanh() -> None:
    cell = LstmCell(np.zeros((1, 4), np.float32), np.zeros((1, 4), np.float32), np.zeros(4, np.float32))
    stepped = cell.step(np.array([[0.3, 0.8]], np.float32), np.array([[5.0]], np.float32))
    # all gates are 0.5 and the candidate is 0
    assert stepped.tolist() == [[pytest.approx(0.5 * math.tanh(0.4)), pytest.approx(0.4)]]


def test_a_simple_rnn_adds_its_inputs_and_its_state() -> None:
    cell = SimpleRnnCell(np.array([[2]], np.float32), np.array([[3]], np.float32), np.array([-1], np.float32))
    stepped = cell.step(np.array([[0.1]], np.float32), np.array([[0.4]], np.float32))
    assert stepped.tolist() == [[pytest.approx(math.tanh(0.1))]]  # 0.8 + 0.3 - 1


@pytest.mark.parametrize("network", CELLS)
@pytest.mark.parametrize("batch", [1, 4, 5, 17, 255, 1_024])
def test_a_users_state_does_not_depend_on_the_batch(batch: int, network: str) -> None:
    generator = np.random.default_rng(3)
    weights = random_weights(network, 4, units=64, inputs=98)
    cell = cell_from_weights(network, {name: 0.2 * array for name, array in weights.items()})
    inputs = generator.normal(size=(8_192, 98)).astype(np.float32)
    states = generator.uniform(-1, 1, size=(8_192, cell.state_units)).astype(np.float32)
    whole = cell.step(states, inputs)
    parts = [
        cell.step(states[start : start + batch], inputs[start : start + batch])
        for start in range(0, min(8_192, 20 * batch), batch)
    ]
    stepped = np.concatenate(parts)
    np.testing.assert_allclose(stepped, whole[: len(stepped)], rtol=0, atol=2e-6)


@pytest.mark.parametrize("network", CELLS)
def test_what_goes_in_is_left_alone_and_comes_out_in_the_stored_form(network: str) -> None:
    cell = random_cell(network, seed=5)
    state, inputs = np.ones((3, cell.state_units), np.float32), np.ones((3, INPUTS), np.float32)
    stepped = cell.step(state, inputs)
    assert (state == 1).all()
    assert (inputs == 1).all()
    assert stepped.dtype == np.float32
    stored = np.frombuffer(stepped.tobytes(), np.float32).reshape(3, cell.state_units)
    assert cell.step(stored, inputs).tolist() == cell.step(stepped, inputs).tolist()


@pytest.mark.parametrize("network", CELLS)
def test_extreme_inputs_stay_finite(network: str) -> None:
    cell = random_cell(network, seed=6)
    stepped = cell.step(np.ones((1, cell.state_units), np.float32), np.full((1, INPUTS), 1e30, np.float32))
    assert (np.abs(stepped) <= 2).all()  # what an LSTM carries grows by 1 an event at most


@pytest.mark.parametrize("network", CELLS)
def test_weights_of_another_shape_are_refused(network: str) -> None:
    weights = random_weights(network, seed=7)
    for name, array in weights.items():
        wrong = array[..., 1:] if array.ndim == 1 else array[1:]
        if name.endswith("_kernel"):
            wrong = array[:, 1:]
        with pytest.raises(ValueError, match="do not belong"):
            cell_from_weights(network, {**weights, name: wrong})


def test_an_unknown_cell_names_the_cure() -> None:
    with pytest.raises(FormatTooNewError, match="use the release that trained it"):
        cell_from_weights("liquid", {})


@pytest.mark.parametrize("network", CELLS)
def test_keras_gives_the_same_states(network: str) -> None:
    import keras  # here, since only this test needs it and it is slow to load

    weights = random_weights(network, seed=8)
    layers = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
    layer = layers[network](UNITS, return_sequences=True)
    layer.build((None, None, INPUTS))
    layer.set_weights(list(weights.values()))
    sequences = np.random.default_rng(9).normal(size=(6, 20, INPUTS)).astype(np.float32)
    expected = np.asarray(layer(sequences))
    cell = cell_from_weights(network, weights)
    state = np.zeros((6, cell.state_units), np.float32)
    for place in range(20):
        state = cell.step(state, sequences[:, place])
        np.testing.assert_allclose(state[:, :UNITS], expected[:, place], rtol=0, atol=1e-5)
