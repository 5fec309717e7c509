"""The probability that a purchase comes later in the session, from what a network says of the next event.

A logistic regression on the logarithms of the next action's probabilities, the event's type and the encoder's
numeric features: one product of a matrix for a batch. `session_purchase_fit` fits it behind the training of
the network, and it stands in the artifact as `session_purchase.npz`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from model_store.errors import FileCorruptError
from model_store.kernels.perceptron import fill_purchase
from producers.events import EVENT_TYPES

if TYPE_CHECKING:
    from pathlib import Path

    from model_store.encoder import Inputs
    from model_store.specification import NetworkSpecification

FILE: Final = "session_purchase.npz"
_LEAST_PROBABILITY: Final = 1e-6

Floats = npt.NDArray[np.float32]


class SessionPurchase:
    """Says how probable a purchase later in the session is. It changes nothing, so threads may share it."""

    def __init__(self, kernel: Floats, bias: float) -> None:
        """Take the weights of the features, [A + types + F], and the intercept."""
        self._kernel = kernel
        self._bias = np.float32(bias)

    def __call__(self, next_action: Floats, inputs: Inputs) -> Floats:
        """Return the probability [batch] behind the events of ``inputs`` with those of ``next_action``."""
        probability = np.empty(len(next_action), np.float32)
        fill_purchase(
            np.ascontiguousarray(next_action),
            inputs.event_type,
            inputs.numeric,
            self._kernel,
            self._bias,
            np.float32(_LEAST_PROBABILITY),
            len(EVENT_TYPES),
            probability,
        )
        return probability

    def save(self, directory: Path) -> None:
        """Write the weights into ``directory``."""
        np.savez(directory / FILE, allow_pickle=False, kernel=self._kernel, bias=self._bias)

    @classmethod
    def load(cls, directory: Path, width: int) -> Self | None:
        """Return what stands in ``directory``, None if nothing does.

        Raises `FileCorruptError` when it cannot be read or does not hold ``width`` weights and an intercept.
        """
        path = directory / FILE
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as archive:
                kernel, bias = archive["kernel"].astype(np.float32), float(archive["bias"])
        except (ValueError, OSError, EOFError, KeyError, TypeError) as error:
            raise FileCorruptError(f"{path} cannot be read: {error}; train the model again") from error
        if kernel.shape != (width,) or not np.isfinite(kernel).all() or not np.isfinite(bias):
            raise FileCorruptError(f"{path} belongs to another network: train the model again")
        return cls(kernel, bias)


def feature_count(specification: NetworkSpecification) -> int:
    """Return how many features `features_of` makes of a network's answers."""
    return len(specification.action_names) + len(EVENT_TYPES) + specification.numeric_features


def features_of(next_action: Floats, inputs: Inputs) -> Floats:
    """Return the features [batch, A + types + F] that `session_purchase_fit` learns from."""
    log = np.log(np.maximum(next_action, np.float32(_LEAST_PROBABILITY)))
    types = np.eye(len(EVENT_TYPES), dtype=np.float32)[inputs.event_type]
    return np.concatenate([log, types, inputs.numeric], axis=1)
