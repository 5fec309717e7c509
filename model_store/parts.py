"""A log cut in time: what a network is fitted on, what it is validated on, and what stays for the test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from model_store.chunks import chunk_bounds
from model_store.errors import TrainingError

if TYPE_CHECKING:
    from model_store.sequences import EventTable, Ints, Mask

_INNER_QUANTILES: Final = (0.001, 0.999)
_QUANTILE_EVENTS: Final = 1_000_000
_EMPTY: Final = "the log holds no event: check its format and its rejected lines"


@dataclass(frozen=True)
class Part:
    """A stretch of a log: the events known in it, which of them are ``scored`` [E], and where its time ends.

    Events that are not scored are only the history of the others. ``until_ms`` is None where times are
    only an order and each user's sequence is whole.
    """

    table: EventTable
    scored: Mask
    until_ms: int | None


class Split(NamedTuple):
    """The parts of one log. ``whole`` is ``fitting`` and ``validation`` together; ``test`` may be absent."""

    fitting: Part
    validation: Part
    whole: Part
    test: Part | None


def split_log(
    table: EventTable, *, train_until: float, test_from: float, validation_share: float, timed: bool
) -> Split:
    """Return the parts of ``table``: training up to ``train_until`` of its time, the test from ``test_from``.

    The validation part is the last ``validation_share`` of the training time, or of its events where
    those are fewer: a log may be dense at one end and empty at the other. Without real times, shares
    are of the users in the order of their first events, and each user stays whole. Raises `TrainingError`
    when the shares do not ascend or the log holds no event.
    """
    if not 0 < train_until <= test_from <= 1 or not 0 < validation_share < 1:
        raise TrainingError(
            "the parts must ascend: 0 < train-until <= test-from <= 1, and 0 < validation share < 1"
        )
    cut = _split_in_time if timed else _split_by_user
    return cut(table, train_until, test_from, validation_share)


def part_between(table: EventTable, from_share: float, to_share: float, *, timed: bool) -> Part:
    """Return the part of ``table`` from one share of its time to another; a share of 1 includes the end.

    Without real times, shares are of the users in order. Raises `TrainingError` when there is no event.
    """
    if not timed:
        return _of_users(table, from_share, to_share)
    times_ms = table.times_ms
    until_ms = time_at_share(times_ms, to_share) + (to_share == 1)
    return _between(table, None if from_share == 0 else time_at_share(times_ms, from_share), until_ms)


def time_at_share(times_ms: Ints, share: float) -> int:
    """Return the moment at ``share`` of the time that ``times_ms`` span.

    Times that lie farther outside the middle 99.8 % than those span are broken clocks, and left out. Raises
    `TrainingError` when there is none.
    """
    if not len(times_ms):
        raise TrainingError(_EMPTY)
    low, high = np.quantile(_spread_out(times_ms), _INNER_QUANTILES)
    first, last = [], []
    for start, end in chunk_bounds(len(times_ms)):
        some = times_ms[start:end]
        inside = some[np.abs(some - (low + high) / 2) <= 1.5 * (high - low)]
        if len(inside):
            first.append(int(inside.min()))
            last.append(int(inside.max()))
    return min(first) + round(share * (max(last) - min(first)))


def _spread_out(times_ms: Ints) -> Ints:
    """Return all times, or a million of more, evenly spread over the table."""
    return times_ms[:: max(len(times_ms) // _QUANTILE_EVENTS, 1)]


def sampled_by_user(part: Part, most_events: int) -> Part:
    """Return ``part`` with only so many of its users that they have at most ``most_events`` scored events.

    They are drawn at random, always the same; at least one stays. A part with no more is returned as it is.
    """
    if np.count_nonzero(part.scored) <= most_events:
        return part
    first = np.flatnonzero(part.table.starts_user())
    scored = np.add.reduceat(part.scored, first, dtype=np.int64)
    order = np.random.default_rng(0).permutation(np.flatnonzero(scored))
    chosen = np.zeros(len(first), bool)
    chosen[order[: max(int(np.count_nonzero(np.cumsum(scored[order]) <= most_events)), 1)]] = True
    kept = np.repeat(chosen, np.diff(np.append(first, len(part.table))))
    return replace(part, table=part.table.where(kept), scored=part.scored[kept])


def _split_in_time(table: EventTable, train_until: float, test_from: float, validation_share: float) -> Split:
    times_ms = table.times_ms
    whole = part_between(table, 0.0, train_until, timed=True)
    known, until_ms = whole.table.times_ms, time_at_share(times_ms, train_until) + (train_until == 1)
    validation_ms = until_ms - round(validation_share * (until_ms - time_at_share(times_ms, 0.0)))
    if len(known):
        by_events_ms = np.quantile(_spread_out(known), 1 - validation_share, method="higher")
        validation_ms = min(validation_ms, int(by_events_ms))
    return Split(
        fitting=_between(whole.table, None, validation_ms),
        validation=_between(whole.table, validation_ms, until_ms),
        whole=whole,
        test=part_between(table, test_from, 1.0, timed=True) if test_from < 1 else None,
    )


def _between(table: EventTable, from_ms: int | None, until_ms: int) -> Part:
    known = table.where(table.times_ms < until_ms)
    scored = np.ones(len(known), bool) if from_ms is None else known.times_ms >= from_ms
    return Part(known, scored, until_ms)


def _split_by_user(table: EventTable, train_until: float, test_from: float, validation_share: float) -> Split:
    validation_from = train_until * (1 - validation_share)
    return Split(
        fitting=_of_users(table, 0.0, validation_from),
        validation=_of_users(table, validation_from, train_until),
        whole=_of_users(table, 0.0, train_until),
        test=_of_users(table, test_from, 1.0) if test_from < 1 else None,
    )


def _of_users(table: EventTable, from_share: float, to_share: float) -> Part:
    first = np.flatnonzero(table.starts_user())
    if not len(first):
        raise TrainingError(_EMPTY)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(table.times_ms[first], kind="stable")] = np.arange(len(first))
    chosen = (rank >= round(from_share * len(first))) & (rank < round(to_share * len(first)))
    part = table.where(np.repeat(chosen, np.diff(np.append(first, len(table)))))
    return Part(part, np.ones(len(part), bool), None)
