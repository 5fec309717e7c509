"""A log cut in time: what a network is fitted on, what it is validated on, and what stays for the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from model_store.errors import TrainingError

if TYPE_CHECKING:
    from model_store.sequences import EventTable, Ints, Mask

_INNER_QUANTILES: Final = (0.001, 0.999)


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
    when the shares do not ascend or the log holds nothing.
    """
    if not 0 < train_until <= test_from <= 1 or not 0 < validation_share < 1:
        raise TrainingError(
            "the parts must ascend: 0 < train-until <= test-from <= 1, and 0 < validation share < 1"
        )
    if not len(table):
        raise TrainingError("the log holds no event: check its format and its rejected lines")
    cut = _split_in_time if timed else _split_by_user
    return cut(table, train_until, test_from, validation_share)


def time_at_share(times_ms: Ints, share: float) -> int:
    """Return the moment at ``share`` of the time that ``times_ms``, at least one, span.

    Times that lie farther outside the middle 99.8 % than those span are broken clocks, and left out.
    """
    low, high = np.quantile(times_ms, _INNER_QUANTILES)
    inside = times_ms[np.abs(times_ms - (low + high) / 2) <= 1.5 * (high - low)]
    first, last = int(inside.min()), int(inside.max())
    return first + round(share * (last - first))


def _split_in_time(table: EventTable, train_until: float, test_from: float, validation_share: float) -> Split:
    times_ms = table.times_ms
    first_ms, end_ms = time_at_share(times_ms, 0.0), time_at_share(times_ms, 1.0) + 1
    until_ms = end_ms if train_until == 1 else time_at_share(times_ms, train_until)
    known = times_ms[times_ms < until_ms]
    validation_ms = until_ms - round(validation_share * (until_ms - first_ms))
    if len(known):
        by_events_ms = np.quantile(known, 1 - validation_share, method="higher")
        validation_ms = min(validation_ms, int(by_events_ms))
    test = None
    if test_from < 1:
        test = _between(table, time_at_share(times_ms, test_from), end_ms)
    return Split(
        fitting=_between(table, None, validation_ms),
        validation=_between(table, validation_ms, until_ms),
        whole=_between(table, None, until_ms),
        test=test,
    )


def _between(table: EventTable, from_ms: int | None, until_ms: int) -> Part:
    known = table.where(table.times_ms < until_ms)
    scored = np.ones(len(known), bool) if from_ms is None else known.times_ms >= from_ms
    return Part(known, scored, until_ms)


def _split_by_user(table: EventTable, train_until: float, test_from: float, validation_share: float) -> Split:
    first = np.flatnonzero(table.starts_user())
    counts = np.diff(np.append(first, len(table)))
    order = np.argsort(table.times_ms[first], kind="stable")
    share = np.empty(len(first))
    share[order] = np.arange(len(first)) / len(first)

    def users(low: float, high: float) -> Part:
        part = table.where(np.repeat((share >= low) & (share < high), counts))
        return Part(part, np.ones(len(part), bool), None)

    validation_from = train_until * (1 - validation_share)
    return Split(
        fitting=users(0, validation_from),
        validation=users(validation_from, train_until),
        whole=users(0, train_until),
        test=users(test_from, 1) if test_from < 1 else None,
    )
