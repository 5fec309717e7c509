"""Fitting a pipeline on the training part of a log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from model_store.cleaning.columns import Ends, event_columns, fast_users, user_columns
from model_store.cleaning.fitting import fit_detector
from model_store.cleaning.known import Known
from model_store.cleaning.pipeline import Cleaning
from model_store.cleaning.rules import EVENT_COLUMNS, USER_COLUMNS, Anomaly, Rule, check_rules
from model_store.cleaning.sifting import Sieve, Sifted, sift_rows
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
    chosen = _drawn_users(user, seed)
    sampler = _Sampler(draft, window_size, every=-(-int(chosen.sum()) // _MOST_WINDOWS))
    sift_rows(sampler, rows[chosen], user[chosen])
    values = _Values(sampler.windows, known)
    detectors = [
        fit_detector(rule, values.of(rule), seed) if isinstance(rule, Anomaly) else None for rule in rules
    ]
    return Cleaning(rules, known, detectors)


class _Sampler(Sieve):
    """Keeps the windows that the detectors learn from, of one event in ``every``."""

    def __init__(self, cleaning: Cleaning, window_size: int, every: int) -> None:
        super().__init__(cleaning, window_size)
        self.windows: list[bytes] = []
        self._every = max(every, 1)

    def _judge(self, waiting: Sequence[tuple[int, bytes]], sifted: Sifted) -> None:
        super()._judge(waiting, sifted)
        self.windows += (window for place, window in waiting if place % self._every == 0)


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
        values = event_columns(ends, ends.events, self._known, frozenset(rule.columns))
        return values[:, [EVENT_COLUMNS.index(column) for column in rule.columns]]


def _drawn_users(user: Ints, seed: int) -> npt.NDArray[np.bool_]:
    """Tell which events [E] are of users that are drawn."""
    if len(user) <= MOST_EVENTS:
        return np.ones(len(user), bool)
    share = MOST_EVENTS / len(user)
    drawn = np.random.default_rng(seed).random(int(user.max()) + 1) < share
    chosen: npt.NDArray[np.bool_] = drawn[user]
    return chosen
