"""A user's state, and the record in which Redis keeps it.

The record is a header of 10 bytes, where the flags say so the names, the hidden state in the form of
`model_store.stored_states`, and the window's rows without what they share (`kernels.narrow_rows`)::

    format u8 | flags u8 | hidden state bytes u16 | rows u16 | model fingerprint u32 | names | hidden | rows

The hidden state always equals the model run from zero over the rows. The names are the ids of those items in
the window that the model's vocabulary lacks, so that they can be recommended all the same::

    bytes of the names u32 | (bytes of one u16 | id in UTF-8) ...

Of a record of format 2, which had whole rows and float32, the window is read: its hidden state is run anew.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np

from model_store.kernels.narrow_rows import MASK_BYTES, narrow, widen
from model_store.windows import ROW_BYTES, item_fingerprint, row_items, rows_of
from streamer.errors import StateUnreadable

FORMAT: Final = 3
_WHOLE_ROWS_FORMAT: Final = 2
PARTIAL_FLAG: Final = 1
NAMES_FLAG: Final = 2
_CURE: Final = "delete the worker's keys in Redis, and it reads the topic again from its beginning"
_HEADER: Final = struct.Struct("<BBHHI")
_WHOLE_ROWS_HEADER: Final = struct.Struct("<BBHI")
_NAMES_BYTES: Final = struct.Struct("<I")
_NAME_BYTES: Final = struct.Struct("<H")

Names = Mapping[int, str]
NO_NAMES: Final[Names] = MappingProxyType({})


class UserState:
    """One user's window (packed rows, oldest first), hidden state and the model that made it.

    ``model`` is the model's fingerprint; 0 with an empty ``hidden`` for a user who has no events yet.
    ``names`` gives the id of an item that the vocabulary lacks, by its fingerprint; never changed in place.
    """

    __slots__ = ("hidden", "model", "names", "partial", "rows")

    def __init__(
        self,
        rows: bytes = b"",
        hidden: bytes = b"",
        model: int = 0,
        names: Names = NO_NAMES,
        *,
        partial: bool = False,
    ) -> None:
        self.rows = rows
        self.hidden = hidden
        self.model = model
        self.names = names
        self.partial = partial

    def packed(self) -> bytes:
        """Return the record to store."""
        (record,) = pack_states([self])
        return record


def pack_states(states: Sequence[UserState]) -> list[bytes]:
    """Return the records to store."""
    rows = np.frombuffer(b"".join(state.rows for state in states), np.uint8).reshape(-1, ROW_BYTES)
    counts = [len(state.rows) // ROW_BYTES for state in states]
    narrowed = np.empty(rows.size + MASK_BYTES * len(states) + 1, np.uint8)
    ends = np.empty(len(states), np.int64)
    narrow(rows, np.array(counts, np.int64), np.empty(ROW_BYTES, np.int64), narrowed, ends)
    bounds = ends.tolist()
    whole = narrowed[: bounds[-1] if bounds else 0].tobytes()
    records = []
    for state, count, start, end in zip(states, counts, [0, *bounds], bounds, strict=False):
        flags = (PARTIAL_FLAG if state.partial else 0) | (NAMES_FLAG if state.names else 0)
        header = _HEADER.pack(FORMAT, flags, len(state.hidden), count, state.model)
        names = _packed_names(state.names) if state.names else b""
        records.append(header + names + state.hidden + whole[start:end])
    return records


def unpack_state(record: bytes | None) -> UserState:
    """Return the state in ``record``; an empty one for None. Raises `StateUnreadable`."""
    (state,) = unpack_states([record])
    return state


def unpack_states(records: Sequence[bytes | None]) -> list[UserState]:
    """Return the state in each of ``records``; an empty one for None. Raises `StateUnreadable`."""
    states, starts, counts, offset = [], [], [], 0
    for record in records:
        state, rows_at, count = (UserState(), 0, 0) if record is None else _unpacked(record)
        states.append(state)
        starts.append(offset + rows_at)
        counts.append(count)
        offset += len(record or b"")
    rows = np.empty((sum(counts), ROW_BYTES), np.uint8)
    packed = np.frombuffer(b"".join(record for record in records if record), np.uint8)
    widen(packed, np.array(starts, np.int64), np.array(counts, np.int64), np.empty(ROW_BYTES, np.int64), rows)
    whole, at = rows.tobytes(), 0
    for state, count in zip(states, counts, strict=True):
        if count:
            state.rows = whole[at : at + count * ROW_BYTES]
            at += count * ROW_BYTES
    return states


def _unpacked(record: bytes) -> tuple[UserState, int, int]:
    """Return a state, where its narrowed rows begin, and how many they are: none if they are in the state."""
    if record[:1] == bytes([_WHOLE_ROWS_FORMAT]):
        return _with_whole_rows(record), 0, 0
    if len(record) < _HEADER.size or record[0] != FORMAT:
        raise StateUnreadable(f"a stored user state has an unknown format; {_CURE}")
    _, flags, hidden_bytes, count, model = _HEADER.unpack_from(record)
    names, hidden_at = (
        _unpacked_names(record, _HEADER.size) if flags & NAMES_FLAG else (NO_NAMES, _HEADER.size)
    )
    rows_at = hidden_at + hidden_bytes
    if len(record) != rows_at + _narrowed_bytes(record, rows_at, count):
        raise StateUnreadable(f"a stored user state is cut; {_CURE}")
    partial = bool(flags & PARTIAL_FLAG)
    return UserState(b"", record[hidden_at:rows_at], model, names, partial=partial), rows_at, count


def _narrowed_bytes(record: bytes, rows_at: int, count: int) -> int:
    if not count:
        return 0
    mask = int.from_bytes(record[rows_at : rows_at + MASK_BYTES], "little")
    if mask >> ROW_BYTES:
        raise StateUnreadable(f"a stored user state has bytes that no row has; {_CURE}")
    return MASK_BYTES + ROW_BYTES + (count - 1) * mask.bit_count()


def _with_whole_rows(record: bytes) -> UserState:
    """Return the window in a record of format 2, with no hidden state: no model has the fingerprint 0."""
    if len(record) < _WHOLE_ROWS_HEADER.size:
        raise StateUnreadable(f"a stored user state is cut; {_CURE}")
    _, flags, hidden_bytes, _ = _WHOLE_ROWS_HEADER.unpack_from(record)
    size = _WHOLE_ROWS_HEADER.size
    names, hidden_at = _unpacked_names(record, size) if flags & NAMES_FLAG else (NO_NAMES, size)
    rows_at = hidden_at + hidden_bytes
    if (len(record) - rows_at) % ROW_BYTES or rows_at > len(record):
        raise StateUnreadable(f"a stored user state is cut; {_CURE}")
    return UserState(record[rows_at:], b"", 0, names, partial=bool(flags & PARTIAL_FLAG))


def names_in_window(names: Names, rows: bytes) -> Names:
    """Return those of ``names`` whose items stand in the packed window ``rows``."""
    if not names:
        return names
    standing = set(row_items(rows_of(rows)).tolist())
    return {item: name for item, name in names.items() if item in standing}


def _packed_names(names: Names) -> bytes:
    encoded = [name.encode() for name in names.values()]
    packed = b"".join(_NAME_BYTES.pack(len(name)) + name for name in encoded)
    return _NAMES_BYTES.pack(len(packed)) + packed


def _unpacked_names(record: bytes, at: int) -> tuple[Names, int]:
    """Return the names at ``at`` in ``record``, and where they end. Raises `StateUnreadable`."""
    names: dict[int, str] = {}
    try:
        (size,) = _NAMES_BYTES.unpack_from(record, at)
        at += _NAMES_BYTES.size
        end = at + size
        while at < end:
            (length,) = _NAME_BYTES.unpack_from(record, at)
            at += _NAME_BYTES.size + length
            name = record[at - length : at].decode()
            names[item_fingerprint(name)] = name
    except (struct.error, UnicodeDecodeError) as error:
        raise StateUnreadable(f"a stored user state is cut; {_CURE}") from error
    if at != end or end > len(record):
        raise StateUnreadable(f"a stored user state is cut; {_CURE}")
    return names, end
