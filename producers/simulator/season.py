"""The shop's week: how busy each hour is, and the clock that runs with it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

HOUR_MS: Final = 3_600_000
_WEEK_HOURS: Final = 168
_DAY_SHAPE: Final = np.array(
    [2, 1, 1, 1, 1, 2, 3, 5, 6, 7, 8, 9, 10, 9, 8, 8, 9, 10, 12, 14, 15, 13, 9, 5], dtype=np.float64
)
_WEEKDAY_SHAPE: Final = np.array([1.0, 0.95, 1.05, 1.3, 1.4, 0.9, 0.9])  # from Thursday, as Unix time does

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Season:
    """Season hours: hours weighted by how busy they are, 168 of them in each week.

    Shoppers return at a constant rate per season hour. So their returns follow the day and the
    week, and the probability of a silence is still a closed formula: exp(-rate x season hours).
    """

    def __init__(self) -> None:
        busy = np.outer(_WEEKDAY_SHAPE, _DAY_SHAPE).ravel()
        self._hours = np.arange(_WEEK_HOURS + 1, dtype=np.float64)
        self._passed = np.concatenate([[0.0], np.cumsum(busy * (_WEEK_HOURS / busy.sum()))])

    def passed(self, time_ms: npt.ArrayLike) -> Floats:
        """Return the season hours from the epoch to the Unix times ``time_ms``, the same shape."""
        weeks, hour = np.divmod(np.asarray(time_ms, dtype=np.float64) / HOUR_MS, _WEEK_HOURS)
        return np.asarray(weeks * _WEEK_HOURS + np.interp(hour, self._hours, self._passed))

    def time_at(self, passed: npt.ArrayLike) -> Ints:
        """Return the Unix times in milliseconds at which ``passed`` season hours are over."""
        weeks, rest = np.divmod(np.asarray(passed, dtype=np.float64), _WEEK_HOURS)
        hours = weeks * _WEEK_HOURS + np.interp(rest, self._passed, self._hours)
        return np.asarray(np.floor(hours * HOUR_MS), dtype=np.int64)


def day_part(time_ms: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return 0 for night (0 to 6 h UTC), 1 for morning, 2 for afternoon, 3 for evening."""
    return np.asarray(time_ms, dtype=np.int64) // (6 * HOUR_MS) % 4
