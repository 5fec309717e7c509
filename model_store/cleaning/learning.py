"""Fitting a pipeline on the training part of a log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from model_store.cleaning.columns import Ends, fast_users, log_gaps, price_columns, user_columns
from model_store.cleaning.fitting import fit_detector
from model_store.cleaning.known import Known
from model_store.cleaning.pipeline import Cleaning
from model_store.cleaning.rules import EVENT_COLUMNS, USER_COLUMNS, Anomaly, Rule, check_rules
from model_store.cleaning.sifting import Sieve, Sifted, Stream
from model_store.lookback import LOOKBACK_EVENTS

if TYPE_CHECKING:
    from model_store.windows import Rows

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

MOST_EVENTS: Final = 500_000
_MOST_WINDOWS: Final = 50_000


def fit_cleaning(
    rules: Sequence[Rule], rows: Rows, user: Ints, window_size: int, *, seed: int = 0
) -> Cleaning:
    """Return the pipeline of ``rules``, fitted on ``rows`` [E] in order of ``user`` [E] and then of time.

    Prices and categories are known from all rows. Detectors learn from the events that the duplicate rules
    keep; of a long log, from whole users drawn by ``seed`` with about `MOST_EVENTS` events. Raises
    `CleaningError` where the rules cannot be applied.
    """
    check_rules(tuple(rules))
    known = Known.fit(rows)
    draft = Cleaning(rules, known, [None] * len(rules))
    if not any(isinstance(rule, Anomaly) for rule in rules):
        return draft
    sampler = _Sampler(draft, window_size)
    chosen = _drawn_users(user, seed)
    sampler.sift(streams_of(rows[chosen], user[chosen]))
    detectors = _Values(sampler.windows(), known)
    return Cleaning(
        rules,
        known,
        [
            fit_detector(rule, detectors.of(rule), seed) if isinstance(rule, Anomaly) else None
            for rule in rules
        ],
    )


def streams_of(rows: Rows, user: Ints) -> list[Stream]:
    """Return the events of each user of ``rows`` [E], in order of ``user`` [E], from an empty window on."""
    packed = rows.tobytes()
    width = rows.dtype.itemsize
    starts = np.flatnonzero(np.diff(user, prepend=-1)).tolist()
    return [
        Stream(b"", [packed[at * width : (at + 1) * width] for at in range(start, end)])
        for start, end in zip(starts, [*starts[1:], len(rows)], strict=True)
    ]


class _Sampler(Sieve):
    """Keeps the windows that the detectors learn from."""

    def windows(self) -> list[bytes]:
        """Return at most `_MOST_WINDOWS` of the windows seen, evenly."""
        seen = self._seen
        return seen[:: max(1, -(-len(seen) // _MOST_WINDOWS))]

    def __init__(self, cleaning: Cleaning, window_size: int) -> None:
        super().__init__(cleaning, window_size)
        self._seen: list[bytes] = []

    def _judge(self, waiting: Sequence[tuple[int, bytes]], sifted: Sifted) -> None:
        super()._judge(waiting, sifted)
        self._seen += (window for _, window in waiting)


class _Values:
    """The columns of sampled windows."""

    def __init__(self, windows: Sequence[bytes], known: Known) -> None:
        self._ends = Ends.of(windows, LOOKBACK_EVENTS) if windows else None
        self._known = known

    def of(self, rule: Anomaly) -> Floats:
        """Return what ``rule`` may learn from, float32 [B, C]."""
        ends = self._ends
        if ends is None:
            return np.zeros((0, len(rule.columns)), np.float32)
        if rule.over_users:
            values = user_columns(ends, fast_users(ends, rule))
            return values[:, [USER_COLUMNS.index(column) for column in rule.columns]]
        prices = price_columns(ends.events, self._known)
        values = np.concatenate([prices, log_gaps(ends)[:, None]], axis=1)
        return values[:, [EVENT_COLUMNS.index(column) for column in rule.columns]]


def _drawn_users(user: Ints, seed: int) -> npt.NDArray[np.bool_]:
    """Tell which events [E] are of users that are drawn."""
    if len(user) <= MOST_EVENTS:
        return np.ones(len(user), bool)
    share = MOST_EVENTS / len(user)
    drawn = np.random.default_rng(seed).random(int(user.max()) + 1) < share
    chosen: npt.NDArray[np.bool_] = drawn[user]
    return chosen
