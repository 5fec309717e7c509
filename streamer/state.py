"""A user's state, and the record in which Redis keeps it.

The record is a header of 10 bytes, where the flags say so the names, the hidden state in the form of
`model_store.stored_states`, and the window's rows without what they share (`kernels.state_records`)::

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
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.kernels.state_records import (
    CUT,
    NO_SUCH_BYTES,
    UNKNOWN_FORMAT,
    Heads,
    read_heads,
    widen,
)
from model_store.kernels.state_writing import write_records
from model_store.kernels.text import Texts, texts_of
from model_store.windows import ROW_BYTES, item_fingerprint, row_items, rows_of
from streamer.errors import StateUnreadable

_CURE: Final = "delete the worker's keys in Redis, and it reads the topic again from its beginning"
_FAULTS: Final = {
    UNKNOWN_FORMAT: "has an unknown format",
    CUT: "is cut",
    NO_SUCH_BYTES: "has bytes that no row has",
}
_NAMES_BYTES: Final = struct.Struct("<I")
_NAME_BYTES: Final = struct.Struct("<H")
_LARGEST_HEAD_BYTES: Final = 16  # the header, and the mask of the rows

Names = Mapping[int, str]
NO_NAMES: Final[Names] = MappingProxyType({})

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


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


class KeptStates(NamedTuple):
    """What R records say, read together: ``names`` are of those records that have any, by place."""

    packed: Bytes
    heads: Heads
    names: dict[int, Names]


def read_states(records: Sequence[bytes | None]) -> KeptStates:
    """Return what ``records`` say; None is a user without events. Raises `StateUnreadable`."""
    lengths = np.array([-1 if record is None else len(record) for record in records], np.int64)
    packed = np.frombuffer(b"".join([record for record in records if record]), np.uint8)
    counts, rows_at, hidden_at, hidden_bytes, models, names_at = np.empty((6, len(records)), np.int64)
    whole, partial = np.empty((2, len(records)), np.bool_)
    faults = np.empty(len(records), np.int8)
    heads = Heads(counts, rows_at, whole, hidden_at, hidden_bytes, models, partial, names_at, faults)
    read_heads(packed, lengths, ROW_BYTES, heads)
    for fault in faults[faults != 0].tolist():
        raise StateUnreadable(f"a stored user state {_FAULTS[fault]}; {_CURE}")
    names = {place: _unpacked_names(packed, heads, place) for place in np.flatnonzero(names_at >= 0).tolist()}
    return KeptStates(packed, heads, names)


def put_rows(kept: KeptStates, starts: Ints, skipped: Ints, rows: Bytes) -> None:
    """Put the windows of ``kept`` into ``rows`` [any, `ROW_BYTES`], without the first ``skipped`` of each.

    Those of a window stand from its start on; ``starts`` and ``skipped`` are int64 [R].
    """
    widen(kept.packed, kept.heads, starts, skipped, np.empty(ROW_BYTES, np.int64), rows)


def write_states(
    rows: Bytes,
    starts: Ints,
    counts: Ints,
    hidden: Texts,
    names: Mapping[int, Names],
    partial: npt.NDArray[np.bool_],
    models: Ints,
    kept: KeptStates,
    grown: Ints,
) -> list[bytes]:
    """Return the records of R states. ``rows`` [any, `ROW_BYTES`] hold the windows; the others are [R].

    A window has ``counts`` rows from ``starts`` on. ``names`` are of those states that have any, by place.
    ``grown`` are the records of ``kept`` behind whose rows a window has some more, -1 for none; only these
    are read from ``rows``.
    """
    packed_names = _texts_of_names(names, len(counts))
    widest = ROW_BYTES * int(counts.sum()) + _LARGEST_HEAD_BYTES * len(counts)
    texts = [int((text.ends - text.starts).sum()) for text in (hidden, packed_names)]
    out, ends = np.empty(widest + sum(texts), np.uint8), np.empty(len(counts), np.int64)
    spare = np.empty((int(counts.max(initial=0)), ROW_BYTES), np.uint8)
    scratch = np.empty(ROW_BYTES, np.int64)
    told = (hidden, packed_names, partial, models, kept.packed, kept.heads, grown)
    write_records(rows, starts, counts, *told, spare, scratch, out, ends)
    bounds = ends.tolist()
    whole = out.data
    return [whole[start:end].tobytes() for start, end in zip([0, *bounds], bounds, strict=False)]


def pack_states(states: Sequence[UserState]) -> list[bytes]:
    """Return the records to store."""
    rows = np.frombuffer(b"".join([state.rows for state in states]), np.uint8).reshape(-1, ROW_BYTES)
    counts = np.array([len(state.rows) // ROW_BYTES for state in states], np.int64)
    return write_states(
        rows.copy(),
        counts.cumsum() - counts,
        counts,
        texts_of([state.hidden for state in states]),
        {place: state.names for place, state in enumerate(states) if state.names},
        np.array([state.partial for state in states], np.bool_),
        np.array([state.model for state in states], np.int64),
        read_states([]),
        np.full(len(states), -1, np.int64),
    )


def unpack_state(record: bytes | None) -> UserState:
    """Return the state in ``record``; an empty one for None. Raises `StateUnreadable`."""
    (state,) = unpack_states([record])
    return state


def unpack_states(records: Sequence[bytes | None]) -> list[UserState]:
    """Return the state in each of ``records``; an empty one for None. Raises `StateUnreadable`.

    Of a record of format 2, the window and what stands beside it; its hidden state is run anew.
    """
    kept = read_states(records)
    heads, packed = kept.heads, kept.packed.tobytes()
    rows = np.empty((int(heads.counts.sum()), ROW_BYTES), np.uint8)
    put_rows(kept, heads.counts.cumsum() - heads.counts, np.zeros(len(records), np.int64), rows)
    whole = rows.tobytes()
    ends = (heads.counts.cumsum() * ROW_BYTES).tolist()
    hidden_ends = (heads.hidden_at + heads.hidden_bytes).tolist()
    return [
        UserState(
            whole[start:end],
            packed[hidden_at:hidden_end],
            model,
            kept.names.get(place, NO_NAMES),
            partial=partial,
        )
        for place, (start, end, hidden_at, hidden_end, model, partial) in enumerate(
            zip(
                [0, *ends[:-1]],
                ends,
                heads.hidden_at.tolist(),
                hidden_ends,
                heads.models.tolist(),
                heads.partial.tolist(),
                strict=True,
            )
        )
    ]


def names_in_window(names: Names, rows: bytes) -> Names:
    """Return those of ``names`` whose items stand in the packed window ``rows``."""
    if not names:
        return names
    standing = set(row_items(rows_of(rows)).tolist())
    return {item: name for item, name in names.items() if item in standing}


def _texts_of_names(names: Mapping[int, Names], count: int) -> Texts:
    """Return the packed names of ``count`` states, nothing where there are none."""
    packed = {place: _packed_names(some) for place, some in sorted(names.items()) if some}
    lengths = np.zeros(count, np.int64)
    lengths[list(packed)] = list(map(len, packed.values()))
    ends = lengths.cumsum()
    return Texts(np.frombuffer(b"".join(packed.values()), np.uint8), ends - lengths, ends, 0)


def _packed_names(names: Names) -> bytes:
    encoded = [name.encode() for name in names.values()]
    packed = b"".join(_NAME_BYTES.pack(len(name)) + name for name in encoded)
    return _NAMES_BYTES.pack(len(packed)) + packed


def _unpacked_names(packed: Bytes, heads: Heads, place: int) -> Names:
    """Return the names of one record. Raises `StateUnreadable`."""
    record = packed[heads.names_at[place] + _NAMES_BYTES.size : heads.hidden_at[place]].tobytes()
    names: dict[int, str] = {}
    at = 0
    try:
        while at < len(record):
            (length,) = _NAME_BYTES.unpack_from(record, at)
            at += _NAME_BYTES.size + length
            name = record[at - length : at].decode()
            names[item_fingerprint(name)] = name
    except (struct.error, UnicodeDecodeError) as error:
        raise StateUnreadable(f"a stored user state {_FAULTS[CUT]}; {_CURE}") from error
    if at != len(record):
        raise StateUnreadable(f"a stored user state {_FAULTS[CUT]}; {_CURE}")
    return names
