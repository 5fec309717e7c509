"""The correction of the hazard, worked out anew from a window's events, one by one, for the checker."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from producers.events import Event

_CHURN_FILE: Final = "churn.npz"
_READ: Final = 64
_VISIT_GAP_MS: Final = 1_800_000
_DAY_MS: Final = 86_400_000


class HazardCorrector:
    """Corrects hazards by the arrays that stand in an artifact; without any, it leaves them."""

    def __init__(self, artifact: Path) -> None:
        self._arrays: dict[str, npt.NDArray[np.float64]] = {}
        if (artifact / _CHURN_FILE).exists():
            with np.load(artifact / _CHURN_FILE, allow_pickle=False) as archive:
                self._arrays = {name: archive[name] for name in archive.files}

    def corrected(
        self, hazard: npt.NDArray[np.float32], windows: Sequence[Sequence[Event]]
    ) -> npt.NDArray[np.float32]:
        """Return the hazard [windows, bins] as it is to be published behind the last event of each window."""
        if not self._arrays:
            return hazard
        result = np.empty(hazard.shape)
        for row, window in enumerate(windows):
            told = numbers_of(tuple(event.event_time_ms for event in window))
            for place in range(hazard.shape[1]):
                given = min(max(float(hazard[row, place]), 1e-7), 1 - 1e-7)
                logit = float(self._arrays["scale"][place]) * math.log(given / (1 - given))
                logit += sum(
                    a * b for a, b in zip(told, self._arrays["kernel"][:, place].tolist(), strict=True)
                )
                logit += float(self._arrays["bias"][place])
                result[row, place] = 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0
        return result.astype(np.float32)


def numbers_of(times_ms: Sequence[int]) -> list[float]:
    """Return what the correction reads of a window whose events came at ``times_ms``, oldest first.

    In the order: events, events of the last visit, visits, whether there is but one, visits of 7 days, of 30
    days, days from the first event, from the visit before to this one, from visit to visit, visits a day.
    """
    times = list(times_ms)[-_READ:]
    visits = [[times[0]]]
    for time_ms in times[1:]:
        if time_ms - visits[-1][-1] > _VISIT_GAP_MS:
            visits.append([])
        visits[-1].append(time_ms)
    now_ms, several = times[-1], len(visits) > 1
    span_days = (now_ms - times[0]) / _DAY_MS
    last_gap_days = (visits[-1][0] - visits[-2][-1]) / _DAY_MS if several else 0.0
    mean_gap_days = span_days / (len(visits) - 1) if several else 0.0

    def ended_within(days: int) -> int:
        return 1 + sum(now_ms - visit[-1] < days * _DAY_MS for visit in visits[:-1])

    return [
        math.log(1 + len(times)),
        math.log(1 + len(visits[-1])),
        math.log(1 + len(visits)),
        float(not several),
        math.log(1 + ended_within(7)),
        math.log(1 + ended_within(30)),
        math.log(1 + span_days),
        math.log(1 + last_gap_days),
        math.log(1 + mean_gap_days),
        math.log(len(visits) / (span_days + 5)),
    ]
