"""A companion beside the network, as the artifact keeps it and serving applies it.

It reads what the encoder says of the event, features of its own among it, and nothing that the network
learned, so it errs elsewhere than the network does. The two are pooled: the logarithms of their probabilities
are averaged (Genest and Zidek 1986, "Combining Probability Distributions", sec. 3). `companion_fit` fits it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from model_store.errors import FileCorruptError
from model_store.features.table import features_named
from model_store.kernels.perceptron import Perceptron as Perceptron
from model_store.kernels.perceptron import pool_actions, pool_purchase
from producers.events import EVENT_TYPES

if TYPE_CHECKING:
    from pathlib import Path

    from model_store.encoder import Encoder, Inputs

COMPANION_FILE: Final = "companion.npz"
_LEAST_PROBABILITY: Final = np.float32(1e-7)

Floats = npt.NDArray[np.float32]
Known = npt.NDArray[np.floating[Any]]  # what `read_by` says, single precision where there is much of it


def read_by(inputs: Inputs) -> Floats:
    """Return the numbers that a companion reads of each event: the network's, then those of its own."""
    if inputs.extra is None:
        return inputs.numeric
    return np.concatenate([inputs.numeric, inputs.extra], axis=1)


class Companion(NamedTuple):
    """The models of the next action and of a purchase later in the session, and how much each counts.

    A share is from 0, the network alone, to 1. A model whose share is 0 is not asked. ``features`` names what
    they read beside the network's numbers.
    """

    action: Perceptron
    action_share: float
    session: Perceptron
    session_share: float
    features: tuple[str, ...] = ()

    def next_action(self, network: Floats, inputs: Inputs) -> Floats:
        """Return the pool of the network's probabilities [batch, A] and the companion's."""
        if not self.action_share:
            return network
        logits = self.action(read_by(inputs), inputs.event_type)
        pool_actions(np.ascontiguousarray(network), np.float32(self.action_share), _LEAST_PROBABILITY, logits)
        return logits

    def purchase_in_session(self, probability: Floats, inputs: Inputs) -> Floats:
        """Return the pool of a probability [batch] of a purchase in the session and the companion's."""
        if not self.session_share:
            return probability
        logits = self.session(read_by(inputs), inputs.event_type)
        pooled = np.empty(len(probability), np.float32)
        pool_purchase(probability, np.float32(self.session_share), _LEAST_PROBABILITY, logits, pooled)
        return pooled

    def save(self, directory: Path) -> None:
        """Write the arrays into ``directory``."""
        arrays = {f"action_{name}": value for name, value in self.action._asdict().items()}
        arrays |= {f"session_{name}": value for name, value in self.session._asdict().items()}
        arrays["shares"] = np.array([self.action_share, self.session_share])
        arrays["features"] = np.array(self.features, np.str_)
        np.savez(directory / COMPANION_FILE, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, directory: Path, encoder: Encoder, actions: int) -> Self | None:
        """Return what stands in ``directory``, None if nothing does.

        From here on, ``encoder`` tells its features too.
        Raises `FileCorruptError` when it cannot be read, or reads or says other numbers than these, and
        `FormatTooNewError` where it names a feature that this release does not know.
        """
        path = directory / COMPANION_FILE
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as archive:
                action, session = (
                    Perceptron(*(archive[f"{of}_{name}"].astype(np.float32) for name in Perceptron._fields))
                    for of in ("action", "session")
                )
                shares = archive["shares"].astype(float).tolist()
                features = tuple(archive["features"].astype(str).tolist())
        except (ValueError, OSError, EOFError, KeyError, TypeError) as error:
            raise FileCorruptError(f"{path} cannot be read: {error}; train the model again") from error
        encoder.tell_extra(features_named(features))
        read = encoder.numeric_features + encoder.extra_features + len(EVENT_TYPES)
        whole = _fits(action, read, actions) and _fits(session, read, 1)
        if not whole or len(shares) != 2 or not all(0 <= share <= 1 for share in shares):
            raise FileCorruptError(f"{path} belongs to another network: train the model again")
        return cls(action, shares[0], session, shares[1], features)


def _fits(perceptron: Perceptron, read: int, outputs: int) -> bool:
    units = perceptron.hidden_bias.size
    shapes = ((read, outputs), (read, units), (units,), (units, outputs), (outputs,))
    finite = all(np.isfinite(array).all() for array in perceptron)
    return tuple(array.shape for array in perceptron) == shapes and finite
