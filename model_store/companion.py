"""A small perceptron beside the network, as the artifact keeps it and serving applies it.

It reads what the encoder says of the event, and nothing that the network learned, so it errs elsewhere than
the network does. The two are pooled: the logarithms of their probabilities are averaged (Genest and Zidek
1986, "Combining Probability Distributions", sec. 3). `companion_fit` fits it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from model_store.errors import FileCorruptError
from producers.events import EVENT_TYPES

if TYPE_CHECKING:
    from pathlib import Path

    from model_store.encoder import Inputs

COMPANION_FILE: Final = "companion.npz"
_LEAST_PROBABILITY: Final = np.float32(1e-7)

Floats = npt.NDArray[np.float32]


class Perceptron(NamedTuple):
    """One hidden layer of H rectified units.

    ``hidden_kernel`` [F + types, H] has a row for each numeric feature, then one for each event type;
    ``hidden_bias`` is [H], ``kernel`` [H, outputs], ``bias`` [outputs].
    """

    hidden_kernel: Floats
    hidden_bias: Floats
    kernel: Floats
    bias: Floats

    def __call__(self, inputs: Inputs) -> Floats:
        """Return the logits [batch, outputs] behind the events of ``inputs``."""
        features = inputs.numeric.shape[1]
        hidden: Floats = inputs.numeric @ self.hidden_kernel[:features]
        hidden += self.hidden_kernel[features:][inputs.event_type]
        hidden += self.hidden_bias
        np.maximum(hidden, 0, out=hidden)
        logits: Floats = hidden @ self.kernel + self.bias
        return logits


class Companion(NamedTuple):
    """The perceptrons of the next action and of a purchase later in the session, and how much each counts.

    A share is from 0, the network alone, to 1. A perceptron whose share is 0 is not asked.
    """

    action: Perceptron
    action_share: float
    session: Perceptron
    session_share: float

    def next_action(self, network: Floats, inputs: Inputs) -> Floats:
        """Return the pool of the network's probabilities [batch, A] and those of the perceptron."""
        if not self.action_share:
            return network
        logits = self.action(inputs)
        logits *= np.float32(self.action_share)
        logits += np.float32(1 - self.action_share) * np.log(np.maximum(network, _LEAST_PROBABILITY))
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return logits

    def purchase_in_session(self, probability: Floats, inputs: Inputs) -> Floats:
        """Return the pool of a probability [batch] of a purchase in the session and the perceptron's."""
        if not self.session_share:
            return probability
        said = np.clip(probability, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
        logit = np.float32(1 - self.session_share) * (np.log(said) - np.log1p(-said))
        logit += np.float32(self.session_share) * self.session(inputs)[:, 0]
        pooled: Floats = np.float32(0.5) * np.tanh(np.float32(0.5) * logit) + np.float32(0.5)
        return pooled

    def save(self, directory: Path) -> None:
        """Write the arrays into ``directory``."""
        arrays = {f"action_{name}": value for name, value in self.action._asdict().items()}
        arrays |= {f"session_{name}": value for name, value in self.session._asdict().items()}
        arrays["shares"] = np.array([self.action_share, self.session_share])
        np.savez(directory / COMPANION_FILE, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, directory: Path, numeric_features: int, actions: int) -> Self | None:
        """Return what stands in ``directory``, None if nothing does.

        Raises `FileCorruptError` when it cannot be read, or reads or says other numbers than these.
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
        except (ValueError, OSError, EOFError, KeyError, TypeError) as error:
            raise FileCorruptError(f"{path} cannot be read: {error}; train the model again") from error
        read = numeric_features + len(EVENT_TYPES)
        whole = _fits(action, read, actions) and _fits(session, read, 1)
        if not whole or len(shares) != 2 or not all(0 <= share <= 1 for share in shares):
            raise FileCorruptError(f"{path} belongs to another network: train the model again")
        return cls(action, shares[0], session, shares[1])


def _fits(perceptron: Perceptron, read: int, outputs: int) -> bool:
    units = perceptron.hidden_bias.size
    shapes = ((read, units), (units,), (units, outputs), (outputs,))
    finite = all(np.isfinite(array).all() for array in perceptron)
    return tuple(array.shape for array in perceptron) == shapes and finite
