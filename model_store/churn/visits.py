"""What an event's lookback says of how often its user comes: the statistics that correct the hazard.

A visit is a run of events with at most `SESSION_GAP_MS` between two of them. All of them follow from the
times alone, so they are cheap, and the same in a rebuilt window. They look back farther than the network's
features do: on 20 rows a busy visit or two hide how often a user came before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from model_store.kernels.visits import fill_visits

if TYPE_CHECKING:
    from model_store.lookback import Lookback
    from model_store.windows import Rows

VISIT_LOOKBACK: Final = 63
VISIT_NAMES: Final = (
    "events",
    "events_in_visit",
    "visits",
    "one_visit",
    "visits_in_7_days",
    "visits_in_30_days",
    "span_days",
    "last_gap_days",
    "mean_gap_days",
    "visits_per_day",
)
Floats = npt.NDArray[np.float32]


def visit_statistics(rows: Rows, lookback: Lookback) -> Floats:
    """Return the statistics [B, `VISIT_NAMES`] of ``rows`` [B], each with its past in ``lookback``.

    They are log(1 + x) of counts and of lengths of time in days, but for the flag ``one_visit`` and for
    ``visits_per_day``, the logarithm of the visits over the span and 5 days more. Only the last
    `VISIT_LOOKBACK` rows before an event are read.
    """
    found = np.empty((len(rows), len(VISIT_NAMES)), np.float32)
    length = np.minimum(lookback.length, VISIT_LOOKBACK)
    fill_visits(lookback.kernel_source, lookback.index, length, found)
    return found
