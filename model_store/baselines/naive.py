"""The naive example, as it is written: one row is one step, so no sequence is learned.

SimpleRNN(50, tanh), Dense(1, sigmoid), Adam, binary cross-entropy, 100 epochs, batches of 32; the first
80 per cent of the rows to train, and the last 20 per cent as a validation that nothing tells apart from a
tuning set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from model_store.baselines.behavior import Behavior
from model_store.errors import TrainingError

UNITS: Final = 50
EPOCHS: Final = 100
BATCH_ROWS: Final = 32
TRAINING_SHARE: Final = 0.8

Floats = npt.NDArray[np.float64]
Report = Callable[[int, float], None]


class NaiveExample(NamedTuple):
    """What the network says of each kind of row, [2, 2] by ``purchase`` and ``browse``, and its claim."""

    next_browse: Floats
    validation_accuracy: float

    def probabilities(self, purchase: npt.NDArray[np.uint8], browse: npt.NDArray[np.uint8]) -> Floats:
        """Return the probability of ``next_browse`` [R] of rows with these columns [R]."""
        found: Floats = self.next_browse[purchase, browse]
        return found


def train_naive_example(
    behavior: Behavior, report: Report, *, epochs: int = EPOCHS, seed: int = 0
) -> NaiveExample:
    """Train the example on ``behavior``; ``report`` gets the epochs done and the last validation accuracy.

    Raises `TrainingError` under two rows.
    """
    features = np.stack([behavior.purchase, behavior.browse], axis=1).astype(np.float32)[:, None, :]
    truth = behavior.next_browse.astype(np.float32)
    cut = int(TRAINING_SHARE * len(truth))
    if not 0 < cut < len(truth):
        raise TrainingError("the naive example needs at least two rows: give a longer log")
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((1, 2)),
            keras.layers.SimpleRNN(UNITS, activation="tanh"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    history = model.fit(
        features[:cut],
        truth[:cut],
        epochs=epochs,
        batch_size=BATCH_ROWS,
        validation_data=(features[cut:], truth[cut:]),
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: report(epoch + 1, float((logs or {}).get("val_accuracy", 0)))
            )
        ],
    )
    kinds = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)[:, None, :]
    answers = np.asarray(model(kinds, training=False), np.float64).reshape(2, 2)
    return NaiveExample(answers, float(history.history["val_accuracy"][-1]))
