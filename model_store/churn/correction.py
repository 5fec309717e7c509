"""The correction of the hazard head, as the artifact keeps it and serving applies it: three arrays.

With n the logit of the network's hazard and v the statistics of `visits`, the hazard of bin k is

    sigmoid(scale[k] * n[k] + v @ kernel[:, k] + bias[k])

so the corrected hazard is a hazard like any other: all that `Survival` says of it holds, churn grows with the
silence's end and falls with the horizon. `fitting` says where the arrays come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from model_store.churn.visits import VISIT_NAMES
from model_store.errors import FileCorruptError
from model_store.kernels.churn import correct_hazard

if TYPE_CHECKING:
    from pathlib import Path

CHURN_FILE: Final = "churn.npz"
_LEAST: Final = 1e-7

Floats = npt.NDArray[np.float32]


class ChurnCorrection(NamedTuple):
    """``scale`` and ``bias`` are [bins], ``kernel`` is [statistics, bins]."""

    scale: npt.NDArray[np.float64]
    kernel: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]

    def __call__(self, hazard: Floats, visits: Floats) -> Floats:
        """Return the corrected hazard [B, bins] of the network's [B, bins] and `visit_statistics` [B, S]."""
        hazard, visits = np.ascontiguousarray(hazard), np.ascontiguousarray(visits)
        corrected = np.empty_like(hazard)
        correct_hazard(hazard, visits, self.scale, self.kernel, self.bias, _LEAST, corrected)
        return corrected

    def save(self, directory: Path) -> None:
        """Write the arrays into ``directory``."""
        np.savez(directory / CHURN_FILE, allow_pickle=False, **self._asdict())

    @classmethod
    def load(cls, directory: Path, bins: int) -> Self | None:
        """Return what stands in ``directory`` for ``bins`` bins, None if nothing does.

        Raises `FileCorruptError` when it cannot be read or is another network's.
        """
        path = directory / CHURN_FILE
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as archive:
                found = cls(*(archive[name].astype(np.float64) for name in cls._fields))
        except (ValueError, OSError, EOFError, KeyError, TypeError) as error:
            raise FileCorruptError(f"{path} cannot be read: {error}; train the model again") from error
        shapes = ((bins,), (len(VISIT_NAMES), bins), (bins,))
        if tuple(array.shape for array in found) != shapes or not all(
            np.isfinite(array).all() for array in found
        ):
            raise FileCorruptError(f"{path} belongs to another network: train the model again")
        return found


def logit(hazard: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return log(h / (1 - h)), of hazards at least 1e-7 away from 0 and 1."""
    inside = np.clip(hazard.astype(np.float64), _LEAST, 1 - _LEAST)
    logits: npt.NDArray[np.float64] = np.log(inside) - np.log1p(-inside)
    return logits
