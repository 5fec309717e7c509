"""Somebody's own model run on made-up windows: shapes, types, numbers, and that no later event leaks back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model_store.importing.failures import Failure
from model_store.importing.surgery import INDEX_INPUTS

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

    from model_store.specification import NetworkSpecification

_WINDOWS: Final = 4
_TOLERANCE: Final = 1e-4
_CAUSAL_CURE: Final = "use causal layers: recurrent ones forward in time, attention with use_causal_mask=True"

Arrays = dict[str, npt.NDArray[Any]]


def shape_failures(model: keras.Model, specification: NetworkSpecification) -> list[Failure]:
    """Return what is wrong with the types and shapes that ``model`` declares."""
    failures = []
    features, actions = specification.numeric_features, len(specification.action_names)
    for name, tensor in model.input.items():
        shape: tuple[int | None, ...] = (None, None) if name in INDEX_INPUTS else (None, None, features)
        dtype = "int32" if name in INDEX_INPUTS else "float32"
        if (tensor.dtype, tuple(tensor.shape)) != (dtype, shape):
            found = f"{name} is {tensor.dtype} {_shown(tensor.shape)}"
            failures.append(Failure("inputs", found, f"make it {dtype} {_shown(shape)}"))
    widths = {"next_action": actions, "hazard": len(specification.hazard_edges_ms)}
    for name, tensor in model.output.items():
        width = widths.get(name, tensor.shape[-1])
        shape = (None, None, width)
        if (tensor.dtype, tuple(tensor.shape)) != ("float32", shape):
            found = f"{name} is {tensor.dtype} {_shown(tensor.shape)}"
            failures.append(Failure("outputs", found, f"make it float32 {_shown(shape)}"))
    return failures


def trial_failures(model: keras.Model, specification: NetworkSpecification) -> list[Failure]:
    """Return what goes wrong when ``model`` is run on windows of up to the encoder's window size."""
    events = specification.window_size
    inputs = _made_up(model, specification, events)
    outputs = _function(model)
    try:
        said = outputs(inputs)
        first = outputs({name: values[:, :1] for name, values in inputs.items()})
    except (ValueError, TypeError, tf.errors.OpError) as error:
        found = (
            f"it cannot be run on windows of 1 and of {events} events ({' '.join(str(error).split())[:200]})"
        )
        return [Failure("windows", found, "let it take any number of events")]
    failures = _number_failures(said)
    if failures:
        return failures
    if _differ(first, {name: values[:, :1] for name, values in said.items()}):
        failures.append(
            Failure("padding", "what stands behind an event changes what is said there", _CAUSAL_CURE)
        )
    elif _differ(_cut(outputs(_changed(inputs)), events), _cut(said, events)):
        failures.append(Failure("causal", "a later event changes an earlier output", _CAUSAL_CURE))
    alone = outputs({name: values[:1] for name, values in inputs.items()})
    if _differ(alone, {name: values[:1] for name, values in said.items()}):
        failures.append(
            Failure("batch", "other windows of a batch change an output", "leave out what mixes windows")
        )
    return failures


def _number_failures(said: Arrays) -> list[Failure]:
    failures = [
        Failure("finite", f"{name} is not finite", "train it with a lower learning rate")
        for name, values in said.items()
        if not np.isfinite(values).all()
    ]
    action = said["next_action"]
    if not failures and (action.min() < 0 or np.abs(action.sum(axis=-1) - 1).max() > _TOLERANCE):
        failures.append(Failure("next_action", "it is no probability", "end it with a softmax"))
    hazard = said.get("hazard", np.zeros(1))
    if not failures and (hazard.min() < 0 or hazard.max() > 1):
        failures.append(Failure("hazard", "it is no probability", "end it with a sigmoid"))
    return failures


def _made_up(model: keras.Model, specification: NetworkSpecification, events: int) -> Arrays:
    """Return random inputs of `_WINDOWS` windows of ``events`` events, the largest index among them."""
    random = np.random.default_rng(0)
    counts = {
        "item": specification.item_count,
        "event_type": specification.event_type_count,
        "category": specification.category_count,
    }
    shape = (_WINDOWS, events)
    arrays: Arrays = {
        name: random.integers(0, count, shape).astype(np.int32) for name, count in counts.items()
    }
    for name, count in counts.items():
        arrays[name][0, 0] = count - 1
    arrays["numeric"] = random.normal(size=(*shape, specification.numeric_features)).astype(np.float32)
    return {name: arrays[name] for name in model.input}


def _changed(inputs: Arrays) -> Arrays:
    """Return ``inputs`` with other events in their last half."""
    events = next(iter(inputs.values())).shape[1]
    changed = {name: values.copy() for name, values in inputs.items()}
    for name, values in changed.items():
        if name == "numeric":
            values[:, events // 2 :] += 3.0
        else:
            values[:, events // 2 :] = 0
    return changed


def _cut(said: Arrays, events: int) -> Arrays:
    return {name: values[:, : events // 2] for name, values in said.items()}


def _differ(one: Arrays, other: Arrays) -> bool:
    return any(np.abs(one[name] - other[name]).max(initial=0.0) > _TOLERANCE for name in one)


def _function(model: keras.Model) -> Callable[[Arrays], Arrays]:
    """Return ``model`` as serving calls it: one function for windows of any number and length."""
    signature = {name: tf.TensorSpec(tensor.shape, tensor.dtype) for name, tensor in model.input.items()}
    traced = tf.function(lambda inputs: model(inputs, training=False), input_signature=[signature])
    return lambda inputs: {name: values.numpy() for name, values in traced(inputs).items()}


def _shown(shape: Any) -> str:
    return f"[{', '.join('any' if size is None else str(size) for size in shape)}]"
