"""The step against the published equations in plain Python, and against Keras itself."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from model_store.errors import FormatTooNewError
from model_store.stepping import GruCell, cell_from_weights

UNITS, INPUTS = 5, 7
Floats = npt.NDArray[np.float32]


def random_weights(seed: int, units: int = UNITS, inputs: int = INPUTS) -> tuple[Floats, Floats, Floats]:
    generator = np.random.default_rng(seed)
    shapes = [(inputs, 3 * units), (units, 3 * units), (2, 3 * units)]
    kernel, recurrent_kernel, bias = (generator.normal(size=shape).astype(np.float32) for shape in shapes)
    return kernel, recurrent_kernel, bias


def sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value))


def scalar_step(
    weights: tuple[Floats, Floats, Floats], state: list[float], inputs: list[float]
) -> list[float]:
    """One event of one user, number by number, in double precision."""
    kernel, recurrent_kernel, bias = (array.astype(float) for array in weights)
    units = len(state)

    def from_inputs(column: int) -> float:
        return sum(x * float(kernel[row, column]) for row, x in enumerate(inputs)) + float(bias[0, column])

    def from_state(column: int) -> float:
        return sum(h * float(recurrent_kernel[row, column]) for row, h in enumerate(state)) + float(
            bias[1, column]
        )

    stepped = []
    for unit in range(units):
        update = sigmoid(from_inputs(unit) + from_state(unit))
        reset = sigmoid(from_inputs(units + unit) + from_state(units + unit))
        candidate = math.tanh(from_inputs(2 * units + unit) + reset * from_state(2 * units + unit))
        stepped.append(update * state[unit] + (1 - update) * candidate)
    return stepped


def test_a_sequence_of_steps_follows_the_equations() -> None:
    weights = random_weights(seed=1)
    sequence = np.random.default_rng(2).normal(size=(12, INPUTS)).astype(np.float32)
    cell = GruCell(*weights)
    state, expected = np.zeros((1, UNITS), np.float32), [0.0] * UNITS
    for event in sequence:
        state = cell.step(state, event[None])
        expected = scalar_step(weights, expected, event.tolist())
        assert state[0] == pytest.approx(expected, abs=2e-6)


def test_without_weights_the_state_halves() -> None:
    cell = GruCell(np.zeros((1, 3), np.float32), np.zeros((1, 3), np.float32), np.zeros((2, 3), np.float32))
    stepped = cell.step(np.array([[0.8]], np.float32), np.array([[5.0]], np.float32))
    assert stepped.tolist() == [[pytest.approx(0.4)]]  # z = 0.5 and the candidate is 0


@pytest.mark.parametrize("batch", [1, 2, 3, 17, 64, 255, 1_024, 4_096])
def test_a_users_state_does_not_depend_on_the_batch(batch: int) -> None:
    generator = np.random.default_rng(3)
    inputs = generator.normal(size=(4_096, 98)).astype(np.float32)
    states = generator.uniform(-1, 1, size=(4_096, 64)).astype(np.float32)
    kernel, recurrent_kernel, bias = (0.2 * array for array in random_weights(4, units=64, inputs=98))
    cell = GruCell(kernel, recurrent_kernel, bias)
    whole = cell.step(states, inputs)
    parts = [
        cell.step(states[start : start + batch], inputs[start : start + batch])
        for start in range(0, min(4_096, 40 * batch), batch)
    ]
    stepped = np.concatenate(parts)
    np.testing.assert_allclose(stepped, whole[: len(stepped)], rtol=0, atol=1e-6)


def test_what_goes_in_is_left_alone_and_comes_out_in_the_stored_form() -> None:
    cell = GruCell(*random_weights(seed=5))
    state, inputs = np.ones((3, UNITS), np.float32), np.ones((3, INPUTS), np.float32)
    stepped = cell.step(state, inputs)
    assert (state == 1).all()
    assert (inputs == 1).all()
    assert stepped.dtype == np.float32
    assert cell.step(np.frombuffer(stepped.tobytes(), np.float32).reshape(3, UNITS), inputs).tolist() == (
        cell.step(stepped, inputs).tolist()
    )


def test_extreme_inputs_stay_finite() -> None:
    cell = GruCell(*random_weights(seed=6))
    stepped = cell.step(np.ones((1, UNITS), np.float32), np.full((1, INPUTS), 1e30, np.float32))
    assert (np.abs(stepped) <= 1).all()


def test_weights_of_another_shape_are_refused() -> None:
    kernel, recurrent_kernel, bias = random_weights(seed=7)
    for wrong in [
        (kernel[:, 1:], recurrent_kernel, bias),
        (kernel, recurrent_kernel[1:], bias),
        (kernel, recurrent_kernel, bias[:1]),
    ]:
        with pytest.raises(ValueError, match="do not belong"):
            GruCell(*wrong)


def test_an_unknown_cell_names_the_cure() -> None:
    with pytest.raises(FormatTooNewError, match="use the release that trained it"):
        cell_from_weights("liquid", {})


def test_keras_gives_the_same_states() -> None:
    import keras  # here, since only this test needs it and it is slow to load

    weights = random_weights(seed=8)
    layer = keras.layers.GRU(UNITS, return_sequences=True, reset_after=True)
    layer.build((None, None, INPUTS))
    layer.set_weights(list(weights))
    sequences = np.random.default_rng(9).normal(size=(6, 20, INPUTS)).astype(np.float32)
    expected = np.asarray(layer(sequences))
    cell = GruCell(*weights)
    state = np.zeros((6, UNITS), np.float32)
    for place in range(20):
        state = cell.step(state, sequences[:, place])
        np.testing.assert_allclose(state, expected[:, place], rtol=0, atol=5e-6)
