"""The window rule for a whole group of events, in order: `model_store.windows` says what it is.

All windows stand in one arena, each step's whole, so those before a late event stay as they were.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare
from model_store.kernels.rows import time_of

KEPT, REPEATED, LATE, REFUSED = range(4)
NOT_ASKED: Final = -1

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

    ``current`` tells whether the hidden state behind it is the serving model's.
    """

    starts: Ints
    counts: Ints
    steps: Ints
    current: Flags


class Made(NamedTuple):
    """Steps, as many as there are events at most: the ``events`` that took them, ``starts`` and ``counts`` of
    the windows behind them in the arena, and ``places``, where the event stands in its window.

    For ``priors``, ``rounds`` and ``rebuilds`` see `streamer.windowing.Steps`; ``thinned`` tells where rows
    of the window before are gone, or its state was another model's.
    """

    events: Ints
    starts: Ints
    counts: Ints
    places: Ints
    priors: Ints
    rounds: Ints
    rebuilds: Flags
    thinned: Flags


@compiled_bare
def enter_windows(
    rows: Arena,
    user: Ints,
    rule: Rule,
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
        if _holds(arena.rows, start, count, row):
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
        step, at = progress[1], progress[2]
        place = count
        while place and time_of(arena.rows[start + place - 1]) > time_ms:
            place -= 1
        _copy(arena.octets, start, arena.octets, at, place)
        _copy(rows.octets, event, arena.octets, at + place, 1)
        _copy(arena.octets, start + place, arena.octets, at + place + 1, count - place)
        made.events[step], made.places[step] = event, place
        made.starts[step], made.counts[step] = at, count + 1
        if since_ms <= rule.asked_ms and event != permitted:
            progress[0] = event
            return event
        outcomes[event] = KEPT
        goes_on = since_ms >= 0 and not overflows
        _take(newest, made, step, who, goes_on, overflows)
        progress[1], progress[2] = step + 1, at + count + 1
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
    newest.starts[who], newest.counts[who] = made.starts[step], made.counts[step]
    newest.steps[who], newest.current[who] = step, True


@compiled_bare
def _holds(rows: Any, start: Any, count: Any, row: Any) -> Any:
    """Tell whether the window of ``count`` rows from ``start`` on holds an event with the id of ``row``."""
    for place in range(start, start + count):
        if rows[place]["event_low"] == row["event_low"] and rows[place]["event_high"] == row["event_high"]:
            return True
    return False


@compiled_bare
def _copy(source: Bytes, first: Any, target: Bytes, to: Any, count: Any) -> None:
    """Copy ``count`` rows."""
    for row in range(count):
        taken, put = source[first + row], target[to + row]
        for place in range(np.uint64(len(taken))):
            put[place] = taken[place]
