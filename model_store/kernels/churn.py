"""The arithmetic of `model_store.survival` and `model_store.churn.correction`, event by event."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@compiled_bare
def correct_hazard(
    hazard: Floats,
    visits: Floats,
    scale: Doubles,
    kernel: Doubles,
    bias: Doubles,
    least: float,
    corrected: Floats,
) -> None:
    """Put the corrected hazard into ``corrected`` [B, bins]; see `ChurnCorrection`.

    Hazards count as at least ``least`` away from 0 and 1.
    """
    for event in range(len(hazard)):
        for place in range(len(scale)):
            inside = min(max(np.float64(hazard[event, place]), least), 1 - least)
            logit = math.log(inside / (1 - inside)) * scale[place] + bias[place]
            for statistic in range(visits.shape[1]):
                logit += visits[event, statistic] * kernel[statistic, place]
            corrected[event, place] = 1.0 / (1.0 + math.exp(-logit))


@compiled_bare
def fill_churn_and_alerts(
    hazard: Any,
    largest: float,
    ahead: Doubles,
    corners_ms: Doubles,
    log_alert: float,
    times_ms: Ints,
    never_ms: int,
    rates: Doubles,
    churn: Doubles,
    alerts_ms: Ints,
) -> None:
    """Put churn at the horizon and the time of the alert into ``churn`` and ``alerts_ms`` [B].

    ``ahead`` [corners, bins] says how many lengths of each bin the horizon covers from each silence of
    ``corners_ms`` on, of which the first is 0. Log churn is linear between the corners, constant behind the
    last of them. ``rates`` [bins] is scratch; ``log_alert`` is the logarithm of the alert level.
    """
    for event in range(len(hazard)):
        for place in range(len(rates)):
            rates[place] = -math.log1p(-min(np.float64(hazard[event, place]), largest))
        alerts_ms[event] = never_ms
        above_before: Any = 0.0
        for corner in range(len(corners_ms)):
            log_churn: Any = 0.0
            for place in range(len(rates)):
                log_churn -= rates[place] * ahead[corner, place]
            if corner == 0:
                churn[event] = math.exp(log_churn)
            above = log_churn - log_alert
            if above >= 0:
                wait_ms: Any = 0.0
                if corner > 0:
                    rise = above - above_before
                    share = -above_before / rise if rise > 0 else 0.0
                    start_ms = corners_ms[corner - 1]
                    wait_ms = start_ms + share * (corners_ms[corner] - start_ms)
                alerts_ms[event] = times_ms[event] + np.int64(math.ceil(wait_ms))
                break
            above_before = above
