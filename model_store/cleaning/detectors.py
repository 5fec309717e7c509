"""What an anomaly rule has learned, as plain arrays, and whether values are outside of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from model_store.cleaning.isolation_forest import IsolationForest
from model_store.cleaning.local_outlier_factor import LocalOutlierFactor
from model_store.cleaning.rules import Anomaly, InterquartileRange, IsolationForestRule, ZScore

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Arrays = dict[str, npt.NDArray[Any]]

Kind = TypeVar("Kind")


class Detector(Protocol):
    """What judging needs of a fitted rule."""

    def outlying(self, values: Floats) -> Mask:
        """Tell which of ``values`` [B, C], one column for each of the rule's, are anomalies: bool [B]."""

    def arrays(self) -> Arrays:
        """Return what it has learned, by name."""


@dataclass(frozen=True)
class Bounds:
    """Anomalous is what lies below ``low`` or above ``high``, both float64 [C], in any column."""

    low: Doubles
    high: Doubles

    def outlying(self, values: Floats) -> Mask:
        """See `Detector.outlying`."""
        outside: Mask = np.any((values < self.low) | (values > self.high), axis=1)
        return outside

    def arrays(self) -> Arrays:
        """See `Detector.arrays`."""
        return vars(self)


@dataclass(frozen=True)
class Screened:
    """Anomalous is what lies outside ``screen`` and has a score below ``offset``, float64 [].

    The model sees (values - ``centre``) / ``scale``, both float64 [C].
    """

    screen: Bounds
    centre: Doubles
    scale: Doubles
    offset: Doubles
    model: IsolationForest | LocalOutlierFactor

    def scores(self, values: Floats) -> Doubles:
        """Return the model's score of all ``values`` [B, C]; lower is more anomalous."""
        return self.model.scores(((values - self.centre) / self.scale).astype(np.float32))

    def outlying(self, values: Floats) -> Mask:
        """See `Detector.outlying`."""
        outside = self.screen.outlying(values)
        asked = np.flatnonzero(outside)
        if len(asked):
            outside[asked] = self.scores(values[asked]) < self.offset
        return outside

    def arrays(self) -> Arrays:
        """See `Detector.arrays`."""
        own = {"centre": self.centre, "scale": self.scale, "offset": self.offset}
        screen = {f"screen_{name}": array for name, array in vars(self.screen).items()}
        return own | screen | vars(self.model)


def detector_of(rule: Anomaly, arrays: Arrays) -> Detector:
    """Return the detector of ``rule`` from its arrays. Raises KeyError where one is missing."""
    if isinstance(rule, ZScore | InterquartileRange):
        return _made(Bounds, arrays)
    model = (
        _made(IsolationForest, arrays)
        if isinstance(rule, IsolationForestRule)
        else _made(LocalOutlierFactor, arrays)
    )
    screen = Bounds(arrays["screen_low"], arrays["screen_high"])
    return Screened(screen, arrays["centre"], arrays["scale"], arrays["offset"], model)


def _made(kind: type[Kind], arrays: Arrays) -> Kind:
    return kind(**{field.name: arrays[field.name] for field in fields(kind)})  # type: ignore[arg-type]


LEAST_SPREAD: Final = 0.05  # a column that hardly varies would make every difference an anomaly
