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
        if (artifact / _COMPANION_FILE).exists():
            with np.load(artifact / _COMPANION_FILE, allow_pickle=False) as archive:
                self._arrays = {name: archive[name].astype(np.float64) for name in archive.files}

    def pooled(
        self,
        network: npt.NDArray[np.float32],
        event_type: npt.NDArray[np.int32],
        numeric: npt.NDArray[np.float32],
    ) -> npt.NDArray[np.float32]:
        """Return the published probabilities [W, A] from the network's [W, A] and what it read last."""
        if not self._arrays:
            return network
        share = self._arrays["shares"][0]
        read = np.concatenate([numeric.astype(np.float64), np.eye(_TYPES)[event_type]], axis=1)
        hidden = np.clip(
            read @ self._arrays["action_hidden_kernel"] + self._arrays["action_hidden_bias"], 0, None
        )
        weighed = np.exp(hidden @ self._arrays["action_kernel"] + self._arrays["action_bias"]) ** share
        weighed *= np.maximum(network.astype(np.float64), 1e-7) ** (1 - share)
        pooled: npt.NDArray[np.float32] = (weighed / weighed.sum(axis=1, keepdims=True)).astype(np.float32)
        return pooled
