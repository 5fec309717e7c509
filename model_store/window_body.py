"""A saved Keras model run over whole windows, for networks that cannot be stepped from event to event.

TensorFlow is imported when a `WindowBody` is made, and by nothing else here. One `tf.function` with one
signature serves batches and windows of any size, so it is traced once, by `warm`. Windows are padded on the
right to the longest of their batch: that is cheaper than to pad all to the window size, since the cost
follows the length.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from model_store.encoder import Encoder, Inputs
from model_store.errors import FileAbsentError, FileCorruptError
from model_store.windows import ROW_BYTES, rows_of

if TYPE_CHECKING:
    from pathlib import Path

    from model_store.stepping import Floats

_MOST_CELLS: Final = 1 << 19  # of a batch's [B, T, T]: bounds the memory that attention takes
_MOST_WINDOWS: Final = 512

Ints = npt.NDArray[np.int64]


class WindowBody:
    """Gives a saved model's ``outputs`` behind the last event of windows, one after another, [B, ``units``].

    Holds no state of any user, so threads may share it.
    """

    def __init__(self, path: Path, encoder: Encoder, numeric_features: int, outputs: Sequence[str]) -> None:
        """Load ``path`` and warm it. Raises `FileAbsentError`, or `FileCorruptError` if it is no model."""
        self._encoder = encoder
        self._last = _last_outputs(_load(path), numeric_features, outputs)
        self.units = self._warm(path, numeric_features)

    def behind_windows(self, windows: Sequence[bytes]) -> Floats:
        """Return the outputs behind the last event of each packed window, float32[windows, units].

        An empty window has zeros.
        """
        lengths = np.array([len(window) // ROW_BYTES for window in windows], dtype=np.int64)
        behind = np.zeros((len(windows), self.units), np.float32)
        for chosen in _batches(lengths):
            rows = rows_of(windows[index] for index in chosen.tolist())
            inputs = self._encoder.encode_windows(rows, lengths[chosen])
            behind[chosen] = self.behind(inputs, lengths[chosen])
        return behind

    def behind(self, inputs: Inputs, lengths: Ints) -> Floats:
        """Return the outputs behind the last of the events of windows of ``lengths`` [W], none of them 0.

        ``inputs`` [E] are the events of all windows, one window after another.
        """
        outputs: Floats = self._last(padded(inputs, lengths), (lengths - 1).astype(np.int32)).numpy()
        return outputs

    def _warm(self, path: Path, numeric_features: int) -> int:
        """Trace the function on one window of zeros, and return the width of what it gives."""
        zeros = np.zeros(1, np.int32)
        inputs = Inputs(zeros, zeros, zeros, np.zeros((1, numeric_features), np.float32))
        try:
            return len(self.behind(inputs, np.ones(1, np.int64))[0])
        except (KeyError, TypeError, ValueError) as error:
            raise FileCorruptError(
                f"{path} does not take the inputs of a foreclick model: train or import it again"
            ) from error


def padded(inputs: Inputs, lengths: Ints) -> dict[str, npt.NDArray[Any]]:
    """Return a saved model's inputs: windows of ``lengths`` [W], one after another, zeros on the right.

    The indices are int32 [W, T], ``numeric`` is float32 [W, T, F], T the longest length.
    """
    present = np.arange(lengths.max()) < lengths[:, None]  # bool[W, T]
    arrays = {
        "item": inputs.item,
        "event_type": inputs.event_type,
        "category": inputs.category,
        "numeric": inputs.numeric,
    }
    whole = {}
    for name, values in arrays.items():
        whole[name] = np.zeros((*present.shape, *values.shape[1:]), values.dtype)
        whole[name][present] = values
    return whole


def _batches(lengths: Ints) -> Iterator[Ints]:
    """Yield the places of all windows that hold an event, in batches of like length."""
    order = np.argsort(lengths, kind="stable")
    start = int(np.count_nonzero(lengths == 0))
    while start < len(order):
        # the longest window of a batch decides; this many fit even if they all were the longest of all
        longest = int(lengths[order[min(start + _MOST_WINDOWS, len(order)) - 1]])
        count = min(_MOST_WINDOWS, max(1, _MOST_CELLS // longest**2))
        yield order[start : start + count]
        start += count


def _load(path: Path) -> Any:
    """Return the Keras model in ``path``; code that a file brings along is never run."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    _take_one_thread(tf)
    if not path.exists():
        raise FileAbsentError(f"{path} is missing: train or import the model again")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise FileCorruptError(f"{path} cannot be loaded as a Keras model: {error}") from error


def _take_one_thread(tf: Any) -> None:
    """Keep TensorFlow to one thread, as a worker scales by processes, unless it already runs."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        return  # this process trains or evaluates, and has its threads


def _last_outputs(model: Any, numeric_features: int, outputs: Sequence[str]) -> Any:
    import tensorflow as tf

    index = tf.TensorSpec((None, None), tf.int32)
    numeric = tf.TensorSpec((None, None, numeric_features), tf.float32)
    inputs = {"item": index, "event_type": index, "category": index, "numeric": numeric}

    @tf.function(input_signature=[inputs, tf.TensorSpec((None,), tf.int32)])  # type: ignore[untyped-decorator]
    def last_outputs(windows: dict[str, Any], last: Any) -> Any:
        said = model({name: windows[name] for name in model.input}, training=False)
        return tf.concat([tf.gather(said[name], last, batch_dims=1) for name in outputs], axis=1)

    return last_outputs
