"""The two plain predictors that make up a companion: a linear one, and a perceptron, over the same numbers.

The linear one is sure of itself from a thousand events on; the perceptron finds what happens only together,
and goes ahead of it from some thousands.
"""

from __future__ import annotations

import warnings
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from model_store.companion import Known, Perceptron
from model_store.features.table import LONG_LOG_EVENTS
from model_store.head_fitting import ActionTruth, Affine, Penalty, fitted, start_of

PENALTIES: Final = (300.0, 100.0, 30.0, 10.0)
STRENGTHS: Final = (1.0, 0.3)
_UNITS: Final = 24
_LONG_UNITS: Final = 72
_STEPS: Final = 1_500
_MOST_EPOCHS: Final = 40
_STEPS_AN_EPOCH: Final = 64
_BATCH_EVENTS: Final = (32, 512)
_RATE: Final = 3e-3
_LONG_STEPS: Final = 5_500
_LONG_RATES: Final = ((3e-3, 4 / 7), (1e-3, 2 / 7), (3e-4, 1 / 7))  # and the share of the steps at each

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Scale(NamedTuple):
    """The means and the deviations of numbers [R]. A constant says nothing: its deviation is boundless."""

    mean: Floats
    deviation: Floats

    @classmethod
    def of(cls, known: Known) -> Scale:
        """Return the scale of the numbers ``known`` [E, R]."""
        deviation = known.std(axis=0, dtype=np.float64)
        deviation[deviation < 1e-6] = np.inf
        return cls(known.mean(axis=0, dtype=np.float64), deviation)

    def values(self, known: Known) -> Known:
        """Return ``known`` in deviations from the mean."""
        # Of a long log, single precision, which takes half the memory.
        kind = np.float64 if len(known) <= LONG_LOG_EVENTS else np.float32
        values: Known = known - self.mean.astype(kind)
        values /= self.deviation.astype(kind)
        return values


def linear_fits(values: Known, truth: Ints, classes: int) -> list[Affine]:
    """Return the multinomial regression on ``values`` [E, R] for each of `PENALTIES`."""
    what = ActionTruth(truth.astype(np.int32), classes)
    fits = [start_of(what, values.shape[1])]
    for penalty in PENALTIES:
        fits.append(linear_fit(values, truth, classes, penalty, fits[-1]))
    return fits[1:]


def linear_fit(
    values: Known, truth: Ints, classes: int, penalty: float, start: Affine | None = None
) -> Affine:
    """Return the multinomial regression on ``values`` [E, R] with one ridge penalty."""
    what = ActionTruth(truth.astype(np.int32), classes)
    return fitted(
        values.astype(np.float64), what, Penalty(None, penalty), 0, start or start_of(what, values.shape[1])
    )


def perceptron_fit(values: Known, truth: Ints, classes: int, strength: float, fits: int) -> Perceptron:
    """Return the mean of some perceptrons on ``values`` [E, R], whose hidden layers stand side by side.

    Each class is shown once more than it came, behind an average event, so that none is impossible. The work
    does not grow with the events, beyond some ten thousand. From more than `LONG_LOG_EVENTS` it is one
    perceptron in place of ``fits``, as wide as three, whose learning rate falls: they can teach it more than
    a mean of small ones can hold. What holds it then counts as little as it would beside so many events.
    """
    long = len(values) > LONG_LOG_EVENTS
    values = np.concatenate([values, np.zeros((classes, values.shape[1]), values.dtype)])
    truth = np.concatenate([truth, np.arange(classes)])
    if long:
        fits = 1
        layers = [_layers_of_many(values, truth, strength * LONG_LOG_EVENTS / len(values))]
    else:
        layers = [_layers(values, truth, strength, seed) for seed in range(fits)]
    into, into_bias, out, out_bias = zip(*layers, strict=True)
    outputs = np.mean(out_bias, axis=0)
    return _as_served(
        np.zeros((values.shape[1], len(outputs))),
        np.concatenate(into, axis=1),
        np.concatenate(into_bias),
        np.concatenate(out) / fits,
        outputs,
    )


def pooled(scale: Scale, linear: Affine, perceptron: Perceptron, share: float) -> Perceptron:
    """Return what says ``share`` of the perceptron's logits and the rest of the linear one's, of raw numbers.

    Of two classes, it says the logit of the second one alone.
    """
    direct, bias = linear
    if len(perceptron.bias) == 1:
        direct, bias = direct[:, 1:] - direct[:, :1], bias[1:] - bias[:1]
    direct = (1 - share) * direct / scale.deviation[:, None]
    hidden_kernel = perceptron.hidden_kernel / scale.deviation[:, None]
    return _as_served(
        direct,
        hidden_kernel,
        perceptron.hidden_bias - scale.mean @ hidden_kernel,
        share * perceptron.kernel.astype(np.float64),
        share * perceptron.bias + (1 - share) * bias - scale.mean @ direct,
    )


def _as_served(*arrays: Floats) -> Perceptron:
    return Perceptron(*(array.astype(np.float32) for array in arrays))


def _layers(values: Known, truth: Ints, strength: float, seed: int) -> tuple[Floats, Floats, Floats, Floats]:
    batch = min(int(np.clip(len(values) // _STEPS_AN_EPOCH, *_BATCH_EVENTS)), len(values))
    epochs = min(max(_STEPS * batch // len(values), 1), _MOST_EPOCHS)
    network = MLPClassifier(
        (_UNITS,),
        alpha=strength,
        learning_rate_init=_RATE,
        batch_size=batch,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(values, truth)
    return network.coefs_[0], network.intercepts_[0], network.coefs_[1], network.intercepts_[1]


def _layers_of_many(values: Known, truth: Ints, strength: float) -> tuple[Floats, Floats, Floats, Floats]:
    batch = _BATCH_EVENTS[1]
    network = MLPClassifier((_LONG_UNITS,), alpha=strength, batch_size=batch, warm_start=True, random_state=0)
    for rate, share in _LONG_RATES:
        epochs = max(round(share * _LONG_STEPS * batch / len(values)), 1)
        network.set_params(learning_rate_init=rate, max_iter=epochs, n_iter_no_change=epochs + 1)
        # Threads would only wait for one another: a batch's products take microseconds.
        with warnings.catch_warnings(), threadpool_limits(limits=1):
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(values, truth)
    return network.coefs_[0], network.intercepts_[0], network.coefs_[1], network.intercepts_[1]
