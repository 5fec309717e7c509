"""Silences cut at the hazard's edges: each bin that a silence reached is one row, with an event or without.

With one row a user and bin, the likelihood of a discrete-time hazard is that of a logistic regression (Cox
1972, Regression Models and Life-Tables; Singer and Willett 1993, It's About Time).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class PersonPeriods(NamedTuple):
    """Rows [R]: which silence, which bin, and whether its event fell into the bin."""

    silence: Ints
    bin: Ints
    event: Flags

    def where(self, kept: Flags) -> PersonPeriods:
        """Return the rows in ``kept`` [R]."""
        return PersonPeriods(self.silence[kept], self.bin[kept], self.event[kept])


def person_periods(gap_ms: Ints, returned: Flags, edges_ms: Sequence[int], first_bin: int) -> PersonPeriods:
    """Return the rows of silences of ``gap_ms`` [E] that an event ended where ``returned`` [E].

    Bins below ``first_bin`` give none, nor does a bin that was seen only in part. The open last bin is taken
    to end after the length of the bin before it.
    """
    edges = np.asarray([*edges_ms, 2 * edges_ms[-1] - edges_ms[-2]], np.int64)
    parts = []
    for each in range(first_bin, len(edges_ms)):
        survived = gap_ms >= edges[each + 1]
        ended = (gap_ms >= edges[each]) & ~survived & returned
        rows = np.flatnonzero(survived | ended)
        parts.append(PersonPeriods(rows, np.full(len(rows), each), ended[rows]))
    if not parts:
        return PersonPeriods(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool))
    silences, bins, events = zip(*parts, strict=True)
    return PersonPeriods(np.concatenate(silences), np.concatenate(bins), np.concatenate(events))
