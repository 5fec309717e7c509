"""An isolation forest as plain arrays, evaluated in NumPy as scikit-learn evaluates it.

Liu, Ting and Zhou 2008, "Isolation Forest", doi:10.1109/ICDM.2008.17.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int32]

_EULER_GAMMA = 0.5772156649015329


@dataclass(frozen=True)
class IsolationForest:
    """All trees' nodes in one list. A leaf is its own child on both sides.

    ``column`` int32 [N] is what a node cuts, at ``threshold`` float64 [N]: values up to it go ``left``
    int32 [N], others ``right`` int32 [N]. ``path`` float64 [N] is the expected path length of what ends in
    a leaf, ``roots`` int32 [T] the trees' first nodes, ``depth`` int64 [] the most cuts in a tree, and
    ``normal_path`` float64 [] the expected path length of a tree's whole sample.
    """

    column: Indices
    threshold: Doubles
    left: Indices
    right: Indices
    path: Doubles
    roots: Indices
    depth: npt.NDArray[np.int64]
    normal_path: Doubles

    def scores(self, values: Floats) -> Doubles:
        """Return -2^(-E[path] / normal path) of ``values`` [B, C], float64 [B]: from -1, anomalous, to 0."""
        return self._scores(values) if len(values) else np.zeros(0)

    def _scores(self, values: Floats) -> Doubles:
        flat, row = values.ravel(), np.arange(len(values))[:, None] * values.shape[1]
        nodes = np.broadcast_to(self.roots, (len(values), len(self.roots)))
        for _ in range(int(self.depth)):
            goes_left = flat.take(row + self.column.take(nodes)) <= self.threshold.take(nodes)
            nodes = np.where(goes_left, self.left.take(nodes), self.right.take(nodes))
        total = len(self.roots) * float(self.normal_path)
        share = self.path.take(nodes).sum(axis=1) / total if total else np.ones(len(values))
        scores: Doubles = -(2.0**-share)
        return scores


def expected_path(sample: npt.NDArray[np.int64]) -> Doubles:
    """Return the expected path length in a random tree over n points: 2 H(n - 1) - 2 (n - 1) / n."""
    points = np.maximum(sample, 2).astype(np.float64)
    harmonic = np.log(points - 1.0) + _EULER_GAMMA
    length = 2.0 * harmonic - 2.0 * (points - 1.0) / points
    return np.where(sample <= 1, 0.0, np.where(sample == 2, 1.0, length))
