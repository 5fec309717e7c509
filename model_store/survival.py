"""Churn from a discrete-time hazard of the user's next event.

The bins of silence are bounded by lower edges in milliseconds that ascend from 0. ``hazard[k]`` is the
probability that the next event falls into bin k, given that none came before it. Inside a bin the rate is
constant. The last bin is open: its hazard is that of every further stretch as long as the bin before it.

With ``rate[k] = -log(1 - hazard[k])`` a bin, and ``passed[k](t)`` how many times the length of bin k
lies in it before t, the survival curve is

    S(t) = P(no event until t) = exp(-sum over k of rate[k] * passed[k](t))

(the piecewise-exponential model; Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data,
section 4). It equals the product of (1 - hazard) at the bins' edges, and its logarithm is linear between
them. So all that is asked here is a product of the rates with a small table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from model_store.kernels.churn import fill_churn_and_alerts

if TYPE_CHECKING:
    from model_store.specification import NetworkSpecification

Hazard = npt.NDArray[np.float32] | npt.NDArray[np.float64]

NEVER_MS: Final = -1
_LARGEST_HAZARD: Final = 1.0 - 2.0**-24


class Survival:
    """The survival curve and churn of one model's hazard head."""

    def __init__(self, edges_ms: Sequence[int], horizon_ms: int) -> None:
        """Take the bins' lower edges, at least two, ascending from 0, and the churn horizon.

        Raises ValueError when the edges do not ascend from 0 or the horizon is not positive.
        """
        edges = np.asarray(edges_ms, np.float64)
        if len(edges) < 2 or edges[0] != 0 or not (np.diff(edges) > 0).all():
            raise ValueError("the hazard's bins need at least two edges that ascend from 0")
        if horizon_ms <= 0:
            raise ValueError("the churn horizon must be over 0 ms")
        self.edges_ms: tuple[int, ...] = tuple(int(edge) for edge in edges)
        self.horizon_ms = horizon_ms
        self._lower = edges
        self._lengths = np.append(np.diff(edges), edges[-1] - edges[-2])
        self._longest = np.append(np.ones(len(edges) - 1), np.inf)  # in lengths of the bin
        # Silences at which the slope of log churn may change: where an edge is reached, or comes into sight.
        self._corners_ms = np.unique(np.append(edges, edges[edges > horizon_ms] - horizon_ms))
        self._ahead_of_corners = self._ahead(self._corners_ms, horizon_ms)  # float64[corners, bins]

    def survival(self, hazard: Hazard, silent_ms: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return P(no event until ``silent_ms`` after the last one), float64[batch].

        ``hazard`` is [batch, bins]; ``silent_ms`` is a number or [batch], at least 0.
        """
        return np.exp(-_each_dot(_rates(hazard), self._passed(silent_ms)))

    def churn_probability(
        self, hazard: Hazard, silent_ms: npt.ArrayLike = 0, horizon_ms: int | None = None
    ) -> npt.NDArray[np.float64]:
        """Return P(no event for the horizon, given ``silent_ms`` without one), float64[batch].

        ``hazard`` is [batch, bins]; ``silent_ms`` is a number or [batch], at least 0. The horizon is the
        model's own unless one is given.
        """
        horizon = self.horizon_ms if horizon_ms is None else horizon_ms
        return np.exp(-_each_dot(_rates(hazard), self._ahead(silent_ms, horizon)))

    def alert_at_ms(
        self, hazard: Hazard, event_time_ms: npt.ArrayLike, alert_level: float
    ) -> npt.NDArray[np.int64]:
        """Return when churn first reaches ``alert_level`` if nothing more comes, int64[batch], Unix ms.

        ``hazard`` is [batch, bins]; ``event_time_ms`` is the time of each user's last event. The
        answer is `NEVER_MS` where churn stays below the level, and the event's own time where it
        starts there. Raises ValueError unless 0 < ``alert_level`` < 1.
        """
        return self.churn_and_alert(hazard, event_time_ms, alert_level)[1]

    def churn_and_alert(
        self, hazard: Hazard, event_time_ms: npt.ArrayLike, alert_level: float
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Return `churn_probability` right behind the events, and `alert_at_ms`, in one compiled pass."""
        if not 0 < alert_level < 1:
            raise ValueError("the alert level must lie between 0 and 1")
        times_ms = np.asarray(event_time_ms, np.int64)
        if times_ms.ndim == 0:
            times_ms = np.full(len(hazard), times_ms)
        churn, alerts_ms = np.empty(len(hazard)), np.empty(len(hazard), np.int64)
        fill_churn_and_alerts(
            np.ascontiguousarray(hazard),
            _LARGEST_HAZARD,
            self._ahead_of_corners,
            self._corners_ms,
            math.log(alert_level),
            np.ascontiguousarray(times_ms),
            NEVER_MS,
            np.empty(len(self._lower)),
            churn,
            alerts_ms,
        )
        return churn, alerts_ms

    def _passed(self, silent_ms: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return how many lengths of each bin have passed, float64[..., bins]."""
        silent = np.asarray(silent_ms, np.float64)[..., None]
        passed: npt.NDArray[np.float64] = (silent - self._lower) / self._lengths
        return np.clip(passed, 0.0, self._longest, out=passed)

    def _ahead(self, silent_ms: npt.ArrayLike, horizon_ms: int) -> npt.NDArray[np.float64]:
        """Return how many lengths of each bin the horizon covers from here on, float64[..., bins]."""
        silent = np.asarray(silent_ms, np.float64)
        return self._passed(silent + horizon_ms) - self._passed(silent)


def survival_of(specification: NetworkSpecification) -> Survival | None:
    """Return the survival of a network's hazard head, or None if it has no such head."""
    if specification.churn_horizon_ms is None or not specification.hazard_edges_ms:
        return None
    return Survival(specification.hazard_edges_ms, specification.churn_horizon_ms)


def _rates(hazard: Hazard) -> npt.NDArray[np.float64]:
    """Return the rate a bin of each hazard. A hazard of 1 counts as the largest float32 below it."""
    return -np.log1p(-np.minimum(hazard, _LARGEST_HAZARD, dtype=np.float64))


def _each_dot(rates: npt.NDArray[np.float64], lengths: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the dot product of each row of rates with its own row of lengths, or with the only one."""
    return rates @ lengths if lengths.ndim == 1 else np.einsum("bk,bk->b", rates, lengths)
