"""A user's state, and the record in which Redis keeps it.

The record is a header of 8 bytes, the hidden state as float32, and the window's packed rows::

    format u8 | flags u8 | hidden state bytes u16 | model fingerprint u32 | hidden | rows

The hidden state always equals the model run from zero over the rows.
"""

from __future__ import annotations

import struct
from typing import Final

from model_store.windows import ROW_BYTES
from streamer.errors import StateUnreadable

FORMAT: Final = 2
PARTIAL_FLAG: Final = 1
_CURE: Final = "delete the worker's keys in Redis, and it reads the topic again from its beginning"
_HEADER: Final = struct.Struct("<BBHI")


class UserState:
    """One user's window (packed rows, oldest first), hidden state and the model that made it.

    ``model`` is the model's fingerprint; 0 with an empty ``hidden`` for a user who has no events yet.
    """

    __slots__ = ("hidden", "model", "partial", "rows")

    def __init__(
        self, rows: bytes = b"", hidden: bytes = b"", model: int = 0, *, partial: bool = False
    ) -> None:
        self.rows = rows
        self.hidden = hidden
        self.model = model
        self.partial = partial

    def packed(self) -> bytes:
        """Return the record to store."""
        flags = PARTIAL_FLAG if self.partial else 0
        return _HEADER.pack(FORMAT, flags, len(self.hidden), self.model) + self.hidden + self.rows


def unpack_state(record: bytes | None) -> UserState:
    """Return the state in ``record``; an empty one for None. Raises `StateUnreadable`."""
    if record is None:
        return UserState()
    if len(record) < _HEADER.size or record[0] != FORMAT:
        raise StateUnreadable(f"a stored user state has an unknown format; {_CURE}")
    _, flags, hidden_bytes, model = _HEADER.unpack_from(record)
    rows_at = _HEADER.size + hidden_bytes
    if (len(record) - rows_at) % ROW_BYTES or rows_at > len(record):
        raise StateUnreadable(f"a stored user state is cut; {_CURE}")
    return UserState(
        record[rows_at:], record[_HEADER.size : rows_at], model, partial=bool(flags & PARTIAL_FLAG)
    )
