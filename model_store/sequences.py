"""From a log to what a network learns from: the event table, its windows and its labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.chunks import chunk_bounds
from model_store.specification import ACTION_NAMES
from model_store.windows import (
    SESSION_GAP_MS,
    Rows,
    category_fingerprint,
    item_fingerprint,
    kept_after_overflow,
    pack_row,
    row_times_ms,
    rows_of,
    starts_session,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from producers.events import Event

MASKED: Final = -1
_USERS_AT_ONCE: Final = 16_384
_NONE: Final = len(ACTION_NAMES) - 1

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class EventTable:
    """The events of a log in order of user, then of time: ``rows`` [E], and ``user`` [E], a number for each.

    ``item_ids`` and ``category_names`` give the text of each fingerprint, as `Texts` keeps them.
    """

    rows: Rows
    user: Ints
    item_ids: Mapping[int, str]
    category_names: Mapping[int, str]

    @classmethod
    def from_events(cls, events: Iterable[Event]) -> EventTable:
        """Return the table of ``events``, in any order.

        Of a user's events with one id the first in time stays.
        """
        packed = bytearray()
        numbers: dict[str, int] = {}
        users: list[int] = []
        texts = Texts({}, {})
        for event in events:
            packed += pack_row(event)
            users.append(numbers.setdefault(event.user_id, len(numbers)))
            texts.add(event)
        rows, user = in_order(rows_of(bytes(packed)), np.array(users, np.int64))
        return cls(rows, user, texts.item_ids, texts.category_names)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def times_ms(self) -> Ints:
        """The event times [E], Unix milliseconds."""
        return row_times_ms(self.rows)

    def where(self, kept: Mask) -> EventTable:
        """Return the table of the events in ``kept`` [E]."""
        return replace(self, rows=self.rows[kept], user=self.user[kept])

    def starts_user(self) -> Mask:
        """Tell which events [E] are the first of their user."""
        starts: Mask = np.diff(self.user, prepend=-1) != 0
        return starts


class Texts(NamedTuple):
    """The text of each fingerprint. Of two texts with the same one, the one that sorts first is kept."""

    item_ids: dict[int, str]
    category_names: dict[int, str]

    def add(self, event: Event) -> None:
        """Keep the texts of ``event``."""
        if event.item_id is not None:
            _keep_first(self.item_ids, item_fingerprint(event.item_id), event.item_id)
        if event.category is not None:
            _keep_first(self.category_names, category_fingerprint(event.category), event.category)


def in_order(rows: Rows, user: Ints) -> tuple[Rows, Ints]:
    """Return ``rows`` [E] and ``user`` [E] in order of user, then of time, equal times as they come.

    Of a user's events with one id the first in time stays.
    """
    order = np.lexsort((row_times_ms(rows), user))
    rows, user = rows[order], user[order]
    identity = rows["event_low"].astype(np.uint64) | (rows["event_high"].astype(np.uint64) << np.uint64(32))
    order = np.lexsort((np.arange(len(rows)), identity, user))
    repeated = (np.diff(identity[order]) == 0) & (np.diff(user[order]) == 0)
    kept = np.ones(len(rows), bool)
    kept[order[1:][repeated]] = False
    return rows[kept], user[kept]


class Windows(NamedTuple):
    """Windows over a table, [W] each: where one starts, how many events it holds, and which of them are new.

    The events before ``new_from`` (counted in the window) were the newest of an earlier window too.
    """

    start: Ints
    length: Ints
    new_from: Ints


def windows_of(table: EventTable, window_size: int) -> Windows:
    """Return the contexts that serving sees of ``table``: each event is new in exactly one window."""
    bounds = np.append(np.flatnonzero(table.starts_user()), len(table))
    stretches = [
        _windows_between(bounds[start : end + 1], window_size)
        for start, end in chunk_bounds(len(bounds) - 1, _USERS_AT_ONCE)
    ]
    if not stretches:
        return Windows(*(np.empty(0, np.int64) for _ in Windows._fields))
    return Windows(*(np.concatenate(columns) for columns in zip(*stretches, strict=True)))


def _windows_between(bounds: Ints, window_size: int) -> Windows:
    """Return the windows of users whose events begin at ``bounds`` and end where the next one's begin."""
    first, counts = bounds[:-1], np.diff(bounds)
    user_start = np.repeat(first, counts)
    place = np.arange(bounds[0], bounds[-1]) - user_start
    # a window of one event is emptied by the next one
    dropped = window_size - kept_after_overflow(window_size) if window_size > 1 else 1
    start = np.where(place < window_size, 0, ((place - window_size) // dropped + 1) * dropped) + user_start
    opens = np.flatnonzero((np.diff(start, prepend=-1) != 0) | (place == 0))
    ends = np.append(opens[1:], len(place)) + bounds[0]
    return Windows(start[opens], ends - start[opens], opens + bounds[0] - start[opens])


class Labels(NamedTuple):
    """What follows each event of a table, [E] each.

    ``next_action`` is an index of `ACTION_NAMES`, or `MASKED` for the events of the last
    `SESSION_GAP_MS` of the known time, whose sessions could still go on past it. ``next_event`` is the
    place of the next event in the table if that is in the same session, else `MASKED`. ``gap_ms`` is the
    time to the user's next event, in whatever session, or, where ``returned`` is False, to the end of the
    known time.
    """

    next_action: Ints
    next_event: Ints
    gap_ms: Ints
    returned: Mask


def labels_of(table: EventTable, until_ms: int | None) -> Labels:
    """Return the labels of a table that holds all events before ``until_ms``; None: no user comes again."""
    return labels_at(table, np.arange(len(table)), until_ms, known_until_ms(table, until_ms))


def known_until_ms(table: EventTable, until_ms: int | None) -> int:
    """Return where the known time of ``table`` ends: at ``until_ms``, else at its newest event."""
    return int(table.times_ms.max(initial=0)) if until_ms is None else until_ms


def labels_at(table: EventTable, index: Ints, until_ms: int | None, end_ms: int) -> Labels:
    """Return the labels, [P] each, of the events at ``index`` [P] alone; see `labels_of`.

    ``end_ms`` is the `known_until_ms` of the table.
    """
    following = np.minimum(index + 1, len(table) - 1)
    returned = (following != index) & (table.user[following] == table.user[index])
    rows, next_rows = table.rows.take(index), table.rows.take(following)
    same_session = returned & ~starts_session(next_rows, rows)
    times_ms = row_times_ms(rows)
    # a broken clock may stand after the end of the known time
    gap_ms = np.maximum(np.where(returned, row_times_ms(next_rows), end_ms) - times_ms, 0)
    next_action = np.where(same_session, next_rows["event_type"], _NONE).astype(np.int64)
    if until_ms is not None:
        # Of an event near the end only a quick next action could be known, never that none followed.
        next_action[times_ms + SESSION_GAP_MS > until_ms] = MASKED
    return Labels(next_action, np.where(same_session, following, MASKED), gap_ms, returned)


def _keep_first(texts: dict[int, str], fingerprint: int, text: str) -> None:
    known = texts.get(fingerprint)
    if known is None or text < known:
        texts[fingerprint] = text
