"""The window rule for a whole group of events, in order: `model_store.windows` says what it is.

All windows stand in one arena. An event that comes in order is put behind its user's rows, so the windows
before it are the first rows of the same place, and a full window's newest half the last ones. A late event,
or one for which there is no room, begins a new place, so those before it stay as they were. Of a record only
the last rows are widened at first, and the others in a new place where a step needs them.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare
from model_store.kernels.rows import time_of
from model_store.kernels.state_records import Heads, narrow_row_stands, widen_rows
from model_store.windows import EVENT_FINGERPRINT_BYTES

KEPT, REPEATED, LATE, REFUSED = range(4)
NOT_ASKED: Final = -1
_EVENT_BYTES: Final = EVENT_FINGERPRINT_BYTES

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Rule(NamedTuple):
    """A window holds ``size`` rows, and of a full one ``kept`` stay when the next event comes.

    An event over ``lateness_ms`` older than its user's newest one is late. One that is at most ``asked_ms``
    younger than that must be asked about.
    """

    size: int
    kept: int
    lateness_ms: int
    asked_ms: float


class Arena(NamedTuple):
    """Rows of windows: ``rows`` and ``octets`` [.., bytes of a row] are the same memory."""

    rows: Any
    octets: Bytes


class Newest(NamedTuple):
    """Of U users, all [U]: where the newest window stands in the arena, and the step that made it, or -1.

    A window's place ends before ``ends``. Rows from ``widened`` on are there; those before it only stand in
    the user's record, whose first row would stand at ``origins``: there other windows are. ``grown`` tells
    whether the window only has rows more than the record. ``current`` tells whether the hidden state behind
    it is the serving model's.
    """

    starts: Ints
    counts: Ints
    ends: Ints
    widened: Ints
    origins: Ints
    grown: Flags
    steps: Ints
    current: Flags


class Records(NamedTuple):
    """The records that the users came with, and a ``scratch`` as long as a row."""

    packed: Bytes
    heads: Heads
    scratch: Ints


class Made(NamedTuple):
    """Steps, as many as there are events at most: the ``events`` that took them, ``starts`` and ``counts`` of
    the windows behind them in the arena, and ``places``, where the event stands in its window.

    For ``priors``, ``rounds`` and ``rebuilds`` see `streamer.windowing.Steps`; ``thinned`` tells where rows
    of the window before are gone, or its state was another model's; ``grown``, where the user's record only
    got rows more.
    """

    events: Ints
    starts: Ints
    counts: Ints
    places: Ints
    priors: Ints
    rounds: Ints
    rebuilds: Flags
    thinned: Flags
    grown: Flags


@compiled_bare
def enter_windows(
    rows: Arena,
    user: Ints,
    rule: Rule,
    records: Records,
    arena: Arena,
    newest: Newest,
    made: Made,
    outcomes: npt.NDArray[np.int8],
    progress: Ints,
    permitted: int,
) -> Any:
    """Let the events ``rows`` [B] of ``user`` [B] enter the arena; ``outcomes`` [B] say what came of it.

    ``progress`` [3] is the next event, how many steps are made, and how many rows of the arena are used.
    Return `NOT_ASKED` when all are through, or the event that must be asked about: its window stands in
    ``made`` as the next step's. Then call again, with the event as ``permitted``, or with its outcome set and
    ``progress`` behind it.
    """
    for event in range(progress[0], len(user)):
        who, row = user[event], rows.rows[event]
        start, count, time_ms = newest.starts[who], newest.counts[who], time_of(row)
        if _holds(arena.rows, newest, records, who, row, rows.octets[event]):
            outcomes[event] = REPEATED
            continue
        since_ms: Any = np.inf
        if count:
            since_ms = np.float64(time_ms - time_of(arena.rows[start + count - 1]))
        if since_ms < -rule.lateness_ms:
            outcomes[event] = LATE
            continue
        overflows = count >= rule.size
        if overflows:
            start += count - rule.kept
            count = rule.kept
        goes_on = since_ms >= 0 and not overflows
        narrow = start < newest.widened[who] and not (goes_on and newest.current[who])
        moves = narrow or since_ms < 0 or start + count >= newest.ends[who]
        step, at = progress[1], start
        if moves:
            at = progress[2]
            _move(records, arena, newest, who, start, count, at)
        place = _put(arena, at, count, rows.octets, event, time_ms)
        made.events[step], made.places[step] = event, place
        made.starts[step], made.counts[step] = at, count + 1
        if since_ms <= rule.asked_ms and event != permitted:
            progress[0] = event
            return event
        outcomes[event] = KEPT
        if moves:
            newest.ends[who] = progress[2] = at + rule.size
            newest.widened[who] = at
        newest.grown[who] &= goes_on and not moves
        _take(newest, made, step, who, goes_on, overflows)
        progress[1] = step + 1
    progress[0] = len(user)
    return NOT_ASKED


@compiled_bare
def _take(newest: Newest, made: Made, step: Any, who: Any, goes_on: Any, overflows: Any) -> None:
    """Make ``step`` the newest of its user."""
    prior, current = newest.steps[who], newest.current[who]
    rebuild = not (goes_on and current)
    made.priors[step], made.rebuilds[step] = prior, rebuild
    made.rounds[step] = 0 if rebuild or prior < 0 else made.rounds[prior] + 1
    made.thinned[step] = overflows or not current
    made.grown[step] = newest.grown[who]
    newest.starts[who], newest.counts[who] = made.starts[step], made.counts[step]
    newest.steps[who], newest.current[who] = step, True


@compiled_bare
def _move(records: Records, arena: Arena, newest: Newest, who: Any, start: Any, count: Any, at: Any) -> None:
    """Put all rows of a user's window of ``count`` rows from ``start`` on in a new place, ``at``."""
    first = start - newest.origins[who]
    narrow = min(max(newest.widened[who] - start, 0), count)
    packed, heads = records.packed, records.heads
    widen_rows(packed, heads, who, first, first + narrow, at - first, records.scratch, arena.octets)
    _copy(arena.octets, start + narrow, arena.octets, at + narrow, count - narrow)


@compiled_bare
def _put(arena: Arena, at: Any, count: Any, octets: Bytes, event: Any, time_ms: Any) -> Any:
    """Put an event among the ``count`` rows from ``at`` on, behind equal times, and return its place."""
    place = count
    while place and time_of(arena.rows[at + place - 1]) > time_ms:
        place -= 1
    for row in range(count, place, -1):
        _copy(arena.octets, at + row - 1, arena.octets, at + row, 1)
    _copy(octets, event, arena.octets, at + place, 1)
    return place


@compiled_bare
def _holds(rows: Any, newest: Newest, records: Records, who: Any, row: Any, octets: Bytes) -> Any:
    """Tell whether a user's newest window holds an event with the id of ``row``, which is ``octets``."""
    start = newest.starts[who]
    end, widened = start + newest.counts[who], max(newest.widened[who], start)
    for place in range(widened, end):
        if rows[place]["event_low"] == row["event_low"] and rows[place]["event_high"] == row["event_high"]:
            return True
    if widened == start:
        return False
    first, behind = start - newest.origins[who], widened - newest.origins[who]
    return narrow_row_stands(
        records.packed, records.heads, who, first, behind, octets, _EVENT_BYTES, records.scratch
    )


@compiled_bare
def _copy(source: Bytes, first: Any, target: Bytes, to: Any, count: Any) -> None:
    """Copy ``count`` rows."""
    for row in range(count):
        taken, put = source[first + row], target[to + row]
        for place in range(np.uint64(len(taken))):
            put[place] = taken[place]
