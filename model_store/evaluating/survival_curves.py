"""The hazard head's survival curves, P(no event until t), beside what was seen; by the last event's type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from scipy import stats

from model_store.sequences import labels_of
from producers.events import EVENT_TYPES

if TYPE_CHECKING:
    from model_store.evaluating.model_answers import ModelAnswers
    from model_store.evaluating.truth import Truth
    from model_store.parts import Part
    from model_store.serving import ServedModel

_POINTS: Final = 25
_MINUTE_MS: Final = 60_000
_LEAST_ROWS: Final = 30


class SurvivalCurve(msgspec.Struct, frozen=True):
    """The mean of the predicted curves of ``rows``, and the Kaplan-Meier estimate of their true silences."""

    rows: int
    predicted: list[float]
    seen: list[float]


class SurvivalCurves(msgspec.Struct, frozen=True):
    """Curves at ``silent_ms``, of all rows and by the type of the last event."""

    silent_ms: list[int]
    curves: dict[str, SurvivalCurve]


def survival_curves(
    model: ServedModel, said: ModelAnswers, part: Part, truth: Truth
) -> SurvivalCurves | None:
    """Return the curves of the rows of which ``said`` holds the hazard; None if the model has none.

    Silences that the end of the part's time cuts are censored there (Kaplan and Meier 1958).
    """
    survival, rows = model.survival, said.hazard_rows
    if survival is None or not len(rows) or part.until_ms is None:
        return None
    labels = labels_of(part.table, part.until_ms)
    events = truth.event[rows]
    gap_ms, returned = labels.gap_ms[events], labels.returned[events]
    longest_ms = max(int(gap_ms.max()), 2 * _MINUTE_MS)
    silent_ms = np.unique(np.geomspace(_MINUTE_MS / 4, longest_ms, _POINTS).astype(np.int64))
    predicted = np.stack([survival.survival(said.hazard, int(each)) for each in silent_ms], axis=1)
    last = part.table.rows["event_type"][events]
    groups = {"all events": np.ones(len(rows), bool)}
    groups |= {f"after {each.value}": last == code for code, each in enumerate(EVENT_TYPES)}
    curves = {}
    for name, chosen in groups.items():
        if np.count_nonzero(chosen) >= _LEAST_ROWS and returned[chosen].any():
            silences = stats.CensoredData(
                uncensored=gap_ms[chosen & returned], right=gap_ms[chosen & ~returned]
            )
            seen = stats.ecdf(silences).sf.evaluate(silent_ms)
            curves[name] = SurvivalCurve(
                int(np.count_nonzero(chosen)), predicted[chosen].mean(axis=0).tolist(), seen.tolist()
            )
    return SurvivalCurves(silent_ms.tolist(), curves) if curves else None
