"""The local outlier factor against kept points, from plain arrays, as scikit-learn computes it.

Breunig, Kriegel, Ng and Sander 2000, "LOF: identifying density-based local outliers",
doi:10.1145/342009.335388.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_LEAST_REACH: Final = 1e-10  # as in scikit-learn, where equal points would divide by 0
_ROWS_AT_ONCE: Final = 1_024


@dataclass(frozen=True)
class LocalOutlierFactor:
    """``points`` float64 [P, C], each with its density [P] and the distance [P] to its last neighbour.

    ``neighbours`` int64 [] is how many of them a density is measured by.
    """

    points: Doubles
    density: Doubles
    last_distance: Doubles
    neighbours: npt.NDArray[np.int64]

    def scores(self, values: Floats) -> Doubles:
        """Return minus the local outlier factor of ``values`` [B, C], float64 [B]; -1 is not thinner."""
        blocks = [
            self._scores(values[start : start + _ROWS_AT_ONCE].astype(np.float64))
            for start in range(0, len(values), _ROWS_AT_ONCE)
        ]
        return np.concatenate(blocks) if blocks else np.zeros(0)

    def _scores(self, values: Doubles) -> Doubles:
        squared = np.zeros((len(values), len(self.points)))
        for column in range(self.points.shape[1]):
            squared += (values[:, column, None] - self.points[:, column]) ** 2
        count = int(self.neighbours)
        nearest = np.argpartition(squared, count - 1, axis=1)[:, :count]
        distance = np.sqrt(np.take_along_axis(squared, nearest, axis=1))
        density = density_of(distance, self.last_distance[nearest])
        factor: Doubles = self.density[nearest].mean(axis=1) / density
        return -factor


def density_of(distance: Doubles, last_distance: Doubles) -> Doubles:
    """Return the local reachability densities [B].

    ``distance`` [B, K] is how far a point's neighbours are, ``last_distance`` [B, K] how far theirs are.
    """
    reach = np.maximum(distance, last_distance)
    density: Doubles = 1.0 / (reach.mean(axis=1) + _LEAST_REACH)
    return density
