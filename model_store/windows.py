"""The stored form of an event, the window rule and the session rule: one definition for training and serving.

An event enters a window as one packed row of `ROW_BYTES` bytes (`EVENT_ROW`). Strings become
fingerprints (parts of XXH3-64), so a window can be encoded again by any later model, whatever
its vocabulary. Absent strings have the fingerprint 0.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

from producers.contract import SESSION_GAP_MS as SESSION_GAP_MS
from producers.events import EVENT_TYPES, Event

EVENT_ROW: Final = np.dtype(
    [
        ("event_low", "<u4"),
        ("event_high", "<u2"),
        ("time_low", "<u4"),
        ("time_high", "<u2"),
        ("item_low", "<u4"),
        ("item_high", "<u2"),
        ("category", "<u4"),
        ("session", "<u2"),
        ("log_price", "<f2"),
        ("event_type", "u1"),
        ("device", "u1"),
        ("source", "u1"),
    ]
)
ROW_BYTES: Final = EVENT_ROW.itemsize
EVENT_FINGERPRINT_BYTES: Final = 6
# From so many on, a column of all events at once takes less than a row of each.
_MANY_EVENTS: Final = 128

_pack: Final = struct.Struct("<IHIHIHIHeBBB").pack
# By value: an enumeration's own hash is a call of Python's.
_TYPE_CODES: Final = {event_type.value: code for code, event_type in enumerate(EVENT_TYPES)}

Rows = npt.NDArray[np.void]


def fingerprint(text: str | None, bits: int) -> int:
    """Return ``bits`` bits of XXH3-64 of ``text``; 0 means absent, and no text maps to it."""
    if text is None:
        return 0
    return (_hashed(text) & ((1 << bits) - 1)) or 1


def _hashed(text: str) -> int:
    value: int = xxhash.xxh3_64_intdigest(text.encode())
    return value


def item_fingerprint(item_id: str | None) -> int:
    """Return the 48-bit fingerprint under which an item stands in a row and in a vocabulary."""
    return fingerprint(item_id, 48)


def item_fingerprints(item_ids: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Return the `item_fingerprint` of each id, uint64[ids]."""
    return _fingerprints(map(_hashed, item_ids), len(item_ids), 48)


def category_fingerprint(category: str | None) -> int:
    """Return the 32-bit fingerprint under which a category stands in a row and in a vocabulary."""
    return fingerprint(category, 32)


def category_fingerprints(categories: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Return the `category_fingerprint` of each category, uint64[categories]."""
    return _fingerprints(map(_hashed, categories), len(categories), 32)


def pack_row(event: Event) -> bytes:
    """Return the `ROW_BYTES` bytes of ``event``.

    The price is kept as float16 of log(1 + price), absent as NaN.
    """
    event_fingerprint = fingerprint(event.event_id, 48)
    item = item_fingerprint(event.item_id)
    time_ms = event.event_time_ms
    return _pack(
        event_fingerprint & 0xFFFFFFFF,
        event_fingerprint >> 32,
        time_ms & 0xFFFFFFFF,
        time_ms >> 32,
        item & 0xFFFFFFFF,
        item >> 32,
        category_fingerprint(event.category),
        fingerprint(event.session_id, 16),
        math.nan if event.price is None else math.log1p(event.price),
        _TYPE_CODES[event.event_type._value_],
        fingerprint(event.device, 8),
        fingerprint(event.source, 8),
    )


def pack_rows(events: Sequence[Event]) -> Rows:
    """Return `pack_row` of each of ``events``, [events], in a fraction of the time where they are many."""
    if len(events) < _MANY_EVENTS:
        return np.frombuffer(bytearray().join(map(pack_row, events)), EVENT_ROW)
    rows = np.empty(len(events), EVENT_ROW)
    ids = _fingerprints(map(_hashed, [event.event_id for event in events]), len(events), 48)
    items = _fingerprints_of([event.item_id for event in events], 48)
    times_ms = np.array([event.event_time_ms for event in events], np.uint64)
    for name, values in (("event", ids), ("time", times_ms), ("item", items)):
        rows[f"{name}_low"] = values & np.uint64(0xFFFFFFFF)
        rows[f"{name}_high"] = values >> np.uint64(32)
    rows["category"] = _fingerprints_of([event.category for event in events], 32)
    rows["session"] = _fingerprints_of([event.session_id for event in events], 16)
    prices = [math.nan if event.price is None else event.price for event in events]
    rows["log_price"] = np.log1p(np.array(prices, np.float64))
    rows["event_type"] = [_TYPE_CODES[event.event_type._value_] for event in events]
    rows["device"] = _fingerprints_of([event.device for event in events], 8)
    rows["source"] = _fingerprints_of([event.source for event in events], 8)
    return rows


def _fingerprints_of(texts: Sequence[str | None], bits: int) -> npt.NDArray[np.uint64]:
    """Return `fingerprint` of each of ``texts``, of which the same ones are hashed once."""
    different = [text for text in set(texts) if text is not None]
    values = _fingerprints(map(_hashed, different), len(different), bits).tolist()
    found: dict[str | None, int] = {None: 0, **dict(zip(different, values, strict=True))}
    return np.fromiter(map(found.__getitem__, texts), np.uint64, len(texts))


def _fingerprints(hashes: Iterable[int], count: int, bits: int) -> npt.NDArray[np.uint64]:
    values = np.fromiter(hashes, np.uint64, count) & np.uint64((1 << bits) - 1)
    values[values == 0] = 1
    return values


def rows_of(packed: bytes | Iterable[bytes]) -> Rows:
    """Return ``packed`` rows as a read-only array of `EVENT_ROW`, shape [events]."""
    whole = packed if isinstance(packed, bytes) else b"".join(packed)
    return np.frombuffer(whole, dtype=EVENT_ROW)


def row_times_ms(rows: Rows) -> npt.NDArray[np.int64]:
    """Return the event times in Unix milliseconds, the shape of ``rows``."""
    return rows["time_low"].astype(np.int64) | (rows["time_high"].astype(np.int64) << 32)


def row_items(rows: Rows) -> npt.NDArray[np.uint64]:
    """Return the item fingerprints, the shape of ``rows``; 0 where there is no item."""
    return rows["item_low"].astype(np.uint64) | (rows["item_high"].astype(np.uint64) << np.uint64(32))


def row_time_ms(packed: bytes, index: int) -> int:
    """Return the event time of one row of a packed window, in Unix milliseconds."""
    start = index * ROW_BYTES + EVENT_FINGERPRINT_BYTES
    return int.from_bytes(packed[start : start + 6], "little")


def starts_session(rows: Rows, previous: Rows) -> npt.NDArray[np.bool_]:
    """Tell which of ``rows`` start a session, each seen after its row of ``previous``.

    Where both events name a session, a new one starts when the names differ; elsewhere, when
    the gap is over `SESSION_GAP_MS`. A first event has no previous row and always starts one:
    the caller knows which those are.
    """
    return session_starts(row_times_ms(rows), rows["session"], row_times_ms(previous), previous["session"])


def session_starts(
    times_ms: npt.NDArray[np.int64],
    sessions: npt.NDArray[np.uint16],
    previous_times_ms: npt.NDArray[np.int64],
    previous_sessions: npt.NDArray[np.uint16],
) -> npt.NDArray[np.bool_]:
    """Return `starts_session` from the times and the fingerprints of the sessions, in their shape."""
    named = (sessions != 0) & (previous_sessions != 0)
    gap_ms = times_ms - previous_times_ms
    return np.where(named, sessions != previous_sessions, gap_ms > SESSION_GAP_MS)


def kept_after_overflow(window_size: int) -> int:
    """Return how many of a full window's newest events stay when the next event comes.

    The oldest half goes, and the state is rebuilt from zero over the rest. So the kept state always
    equals the network run over the kept window, at about two steps an event on average.
    """
    return window_size - max(1, window_size // 2)


def contains_event(packed: bytes, event_row: bytes) -> bool:
    """Tell whether a packed window holds an event with the id of ``event_row``."""
    wanted = event_row[:EVENT_FINGERPRINT_BYTES]
    first_bytes = packed[::ROW_BYTES]  # so that a search passes over one byte of each row, not over all
    row = first_bytes.find(wanted[0])
    while row >= 0:
        at = row * ROW_BYTES
        if packed[at : at + EVENT_FINGERPRINT_BYTES] == wanted:
            return True
        row = first_bytes.find(wanted[0], row + 1)
    return False


def insert_position(packed: bytes, time_ms: int) -> int:
    """Return the place that keeps a packed window in order of event time, behind equal times."""
    position = len(packed) // ROW_BYTES
    while position and row_time_ms(packed, position - 1) > time_ms:
        position -= 1
    return position


def inserted(packed: bytes, event_row: bytes, window_size: int) -> tuple[bytes, int, bool]:
    """Return a packed window with one more event, the event's place, and whether the oldest half went."""
    count = len(packed) // ROW_BYTES
    overflows = count >= window_size
    if overflows:
        packed = packed[-kept_after_overflow(window_size) * ROW_BYTES :] if window_size > 1 else b""
    time_ms = row_time_ms(event_row, 0)
    if not packed or row_time_ms(packed, len(packed) // ROW_BYTES - 1) <= time_ms:  # as nearly all events do
        return packed + event_row, len(packed) // ROW_BYTES, overflows
    position = insert_position(packed, time_ms)
    at = position * ROW_BYTES
    return packed[:at] + event_row + packed[at:], position, overflows
