"""A user's state, and the record in which Redis keeps it.

The record is a header of 8 bytes, where the flags say so the names, the hidden state as float32, and the
window's packed rows::

    format u8 | flags u8 | hidden state bytes u16 | model fingerprint u32 | names | hidden | rows

The hidden state always equals the model run from zero over the rows. The names are the ids of those items in
the window that the model's vocabulary lacks, so that they can be recommended all the same::

    bytes of the names u32 | (bytes of one u16 | id in UTF-8) ...
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from model_store.windows import ROW_BYTES, item_fingerprint, row_items, rows_of
from streamer.errors import StateUnreadable

FORMAT: Final = 2
PARTIAL_FLAG: Final = 1
NAMES_FLAG: Final = 2
_CURE: Final = "delete the worker's keys in Redis, and it reads the topic again from its beginning"
_HEADER: Final = struct.Struct("<BBHI")
_NAMES_BYTES: Final = struct.Struct("<I")
_NAME_BYTES: Final = struct.Struct("<H")
_FLOAT_BYTES: Final = 4

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
        flags = (PARTIAL_FLAG if self.partial else 0) | (NAMES_FLAG if self.names else 0)
        header = _HEADER.pack(FORMAT, flags, len(self.hidden), self.model)
        return header + (_packed_names(self.names) if self.names else b"") + self.hidden + self.rows


def unpack_state(record: bytes | None) -> UserState:
    """Return the state in ``record``; an empty one for None. Raises `StateUnreadable`."""
    if record is None:
        return UserState()
    if len(record) < _HEADER.size or record[0] != FORMAT:
        raise StateUnreadable(f"a stored user state has an unknown format; {_CURE}")
    _, flags, hidden_bytes, model = _HEADER.unpack_from(record)
    names, hidden_at = _unpacked_names(record) if flags & NAMES_FLAG else (NO_NAMES, _HEADER.size)
    rows_at = hidden_at + hidden_bytes
    if hidden_bytes % _FLOAT_BYTES or (len(record) - rows_at) % ROW_BYTES or rows_at > len(record):
        raise StateUnreadable(f"a stored user state is cut; {_CURE}")
    partial = bool(flags & PARTIAL_FLAG)
    return UserState(record[rows_at:], record[hidden_at:rows_at], model, names, partial=partial)


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


def _unpacked_names(record: bytes) -> tuple[Names, int]:
    """Return the names in ``record``, and where they end. Raises `StateUnreadable` if they are cut."""
    names: dict[int, str] = {}
    try:
        (size,) = _NAMES_BYTES.unpack_from(record, _HEADER.size)
        at = _HEADER.size + _NAMES_BYTES.size
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
