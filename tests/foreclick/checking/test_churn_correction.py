"""The checker's own correction of the hazard against the one that is served."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foreclick.checking.churn_correction import HazardCorrector
from model_store.churn.correction import ChurnCorrection
from model_store.churn.visits import VISIT_LOOKBACK, VISIT_NAMES, visit_statistics
from model_store.lookback import lookback_of_windows
from model_store.windows import pack_row
from producers.events import Event, EventType

START_MS = 1_700_000_000_000


def test_the_checker_corrects_as_the_worker_does(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    windows = [
        [
            Event(
                event_id=f"{user}-{at}", user_id="u", event_type=EventType.VIEW, event_time_ms=START_MS + at
            )
            for at in np.cumsum(random.integers(0, 90_000_000, 1 + 3 * user)).tolist()
        ]
        for user in range(10)
    ]
    hazard = random.random((10, 4)).astype(np.float32)
    assert HazardCorrector(tmp_path).corrected(hazard, windows) is hazard

    kernel = random.normal(size=(len(VISIT_NAMES), 4))
    correction = ChurnCorrection(random.random(4), kernel, random.normal(size=4))
    correction.save(tmp_path)
    packed = [b"".join(pack_row(event) for event in window) for window in windows]
    visits = visit_statistics(*lookback_of_windows(packed, VISIT_LOOKBACK))
    served = correction(hazard, visits)
    assert np.abs(HazardCorrector(tmp_path).corrected(hazard, windows) - served).max() < 1e-5
    assert np.abs(served - hazard).max() > 0.01
