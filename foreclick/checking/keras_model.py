"""The Keras model of an artifact, called on whole windows. Of the checker, this alone loads TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from foreclick.checking.action_companion import ActionPool
from foreclick.errors import ForeclickError
from foreclick.quiet import importing_tensorflow
from model_store.encoder import Encoder
from model_store.features.table import features_named
from model_store.own_items import OWN_RANKS
from model_store.specification import (
    ENSEMBLE_FILE,
    IMPORTED,
    KERAS_FILE,
    OWN_OFFSETS,
    WEIGHTS_FILE,
    load_specification,
    load_weights,
)
from model_store.window_body import padded
from model_store.windows import rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from model_store.encoder import Inputs


class SavedModel:
    """``model.keras`` with the encoder and the item vectors that belong to it.

    ``item_vectors`` is float64[items, dimensions]; ``item_index`` gives an item's row.
    """

    def __init__(self, artifact: Path) -> None:
        """Load the model of the directory ``artifact``.

        Raises ModelStoreError where a file is missing, and `ForeclickError` for an ensemble.
        """
        if (artifact / ENSEMBLE_FILE).exists():
            raise ForeclickError("the checker knows single networks: check those of the ensemble one by one")
        with importing_tensorflow():
            import keras
            import tensorflow as tf

        self.specification = load_specification(artifact)
        self.encoder = Encoder.load(artifact)
        self._pool = ActionPool(artifact)
        self.encoder.tell_extra(features_named(self._pool.features))
        self.item_index = {item: index for index, item in enumerate(self.encoder.items) if index}
        model = keras.saving.load_model(artifact / KERAS_FILE, compile=False)
        self.item_vectors = _item_vectors(artifact, model).astype(np.float64)
        weights = load_weights(artifact, self.specification)
        self.own_offsets = weights.get(OWN_OFFSETS, np.zeros(OWN_RANKS, np.float32))
        self._call = tf.function(
            lambda inputs: model({name: inputs[name] for name in model.input}, training=False),
            input_signature=[_signature(tf, self.specification.numeric_features)],
        )

    def last_outputs(self, windows: Sequence[Sequence[bytes]]) -> dict[str, npt.NDArray[np.float32]]:
        """Return each head behind the last event of each window of packed rows: [windows, …]."""
        lengths = np.array([len(window) for window in windows])
        inputs = self._encoded(windows, lengths)
        outputs = self._call(padded(inputs, lengths))
        last = (np.arange(len(windows)), lengths - 1)
        heads = {name: values.numpy()[last] for name, values in outputs.items()}
        ends = np.cumsum(lengths) - 1
        numbers = inputs.numeric[ends]
        if inputs.extra is not None:
            numbers = np.concatenate([numbers, inputs.extra[ends]], axis=1)
        said = self._pool.pooled(heads["next_action"], inputs.event_type[ends], numbers)
        return {**heads, "next_action": said}

    def _encoded(self, windows: Sequence[Sequence[bytes]], lengths: npt.NDArray[np.int64]) -> Inputs:
        """Return the encoded windows, one after another, which is `Encoder.encode_window` of each."""
        return self.encoder.encode_windows(rows_of(row for window in windows for row in window), lengths)


def _item_vectors(artifact: Path, model: Any) -> npt.NDArray[np.float32]:
    """Return the weights of the layer of that name; an imported model may have them in another form."""
    if load_specification(artifact).network == IMPORTED:
        with np.load(artifact / WEIGHTS_FILE, allow_pickle=False) as weights:
            vectors: npt.NDArray[np.float32] = weights["item_vectors"]
            return vectors
    layer: npt.NDArray[np.float32] = model.get_layer("item_vectors").get_weights()[0]
    return layer


def _signature(tf: Any, numeric_features: int) -> dict[str, Any]:
    """Return one signature for every batch, so that the function is traced once."""
    index = tf.TensorSpec((None, None), tf.int32)
    numeric = tf.TensorSpec((None, None, numeric_features), tf.float32)
    return {"item": index, "event_type": index, "category": index, "numeric": numeric}
