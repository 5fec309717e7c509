"""The pool of a network's next action with its companion, worked out anew, for the checker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pathlib import Path

_COMPANION_FILE: Final = "companion.npz"
_TYPES: Final = 6


class ActionPool:
    """Pools by the arrays that stand in an artifact; without any, it leaves the network's answers."""

    def __init__(self, artifact: Path) -> None:
        self._arrays: dict[str, npt.NDArray[np.float64]] = {}
        self.features: list[str] = []
        if (artifact / _COMPANION_FILE).exists():
            with np.load(artifact / _COMPANION_FILE, allow_pickle=False) as archive:
                self.features = archive["features"].tolist()
                numbers = [name for name in archive.files if name != "features"]
                self._arrays = {name: archive[name].astype(np.float64) for name in numbers}

    def pooled(
        self,
        network: npt.NDArray[np.float32],
        event_type: npt.NDArray[np.int32],
        numbers: npt.NDArray[np.float32],
    ) -> npt.NDArray[np.float32]:
        """Return the published probabilities [W, A] from the network's [W, A] and the last event's numbers.

        These are the network's features, and behind them ``features``.
        """
        if not self._arrays:
            return network
        share = self._arrays["shares"][0]
        read = np.concatenate([numbers.astype(np.float64), np.eye(_TYPES)[event_type]], axis=1)
        hidden = np.clip(
            read @ self._arrays["action_hidden_kernel"] + self._arrays["action_hidden_bias"], 0, None
        )
        logits = read @ self._arrays["action_direct"] + hidden @ self._arrays["action_kernel"]
        weighed = np.exp(logits + self._arrays["action_bias"]) ** share
        weighed *= np.maximum(network.astype(np.float64), 1e-7) ** (1 - share)
        pooled: npt.NDArray[np.float32] = (weighed / weighed.sum(axis=1, keepdims=True)).astype(np.float32)
        return pooled
