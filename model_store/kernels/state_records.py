"""Users' records, as `streamer.state` lays them out, read for a whole group at once.

A window of n rows is kept without what all its rows share, since most columns of its bytes hold one value. It
becomes a mask of 32 bits, whose bit c tells that byte c differs between rows, then the first row, then of
each further row the bytes that differ.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare

FORMAT: Final = 3
WHOLE_ROWS_FORMAT: Final = 2
PARTIAL_FLAG: Final = 1
NAMES_FLAG: Final = 2
READABLE, UNKNOWN_FORMAT, CUT, NO_SUCH_BYTES = range(4)
_HEADER_BYTES: Final = 10
_WHOLE_ROWS_HEADER_BYTES: Final = 8
MASK_BYTES: Final = 4
_NAMES_SIZE_BYTES: Final = 4

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


class Heads(NamedTuple):
    """What stands in R records before their rows, all [R]: places count from the first record's beginning.

    A record has ``counts`` rows from ``rows_at`` on, which are ``whole`` or narrowed. The hidden state takes
    ``hidden_bytes`` from ``hidden_at`` on. The names, which begin with their size, stand at ``names_at``, -1
    where there are none. ``faults`` tell what cannot be read, or `READABLE`.
    """

    counts: Ints
    rows_at: Ints
    whole: npt.NDArray[np.bool_]
    hidden_at: Ints
    hidden_bytes: Ints
    models: Ints
    partial: npt.NDArray[np.bool_]
    names_at: Ints
    faults: npt.NDArray[np.int8]


@compiled_bare
def read_heads(packed: Bytes, lengths: Ints, width: int, heads: Heads) -> None:
    """Fill ``heads`` from records of ``lengths`` [R] bytes, one behind another, with rows of ``width`` bytes.

    A length of -1 is no record, which has no rows and no hidden state.
    """
    at = 0
    for record in range(len(lengths)):
        _clear(heads, record, at)
        if lengths[record] >= 0:
            end = at + lengths[record]
            heads.faults[record] = _read_head(packed, at, end, width, heads, record)
            at = end


@compiled_bare
def _clear(heads: Heads, record: int, at: Any) -> None:
    heads.counts[record] = heads.hidden_bytes[record] = heads.models[record] = 0
    heads.rows_at[record] = heads.hidden_at[record] = at
    heads.names_at[record] = -1
    heads.partial[record] = heads.whole[record] = False
    heads.faults[record] = READABLE


@compiled_bare
def _read_head(packed: Bytes, at: Any, end: Any, width: int, heads: Heads, record: int) -> int:
    """Fill the head of the record from ``at`` to ``end``, and return its fault."""
    if end == at:
        return UNKNOWN_FORMAT
    whole = packed[at] == WHOLE_ROWS_FORMAT
    if not whole and (packed[at] != FORMAT or end - at < _HEADER_BYTES):
        return UNKNOWN_FORMAT
    if end - at < _WHOLE_ROWS_HEADER_BYTES:
        return CUT
    flags, hidden_bytes = packed[at + 1], _number(packed, at + 2, 2)
    heads.partial[record] = flags & PARTIAL_FLAG != 0
    behind = at + (_WHOLE_ROWS_HEADER_BYTES if whole else _HEADER_BYTES)
    if flags & NAMES_FLAG:
        if behind + _NAMES_SIZE_BYTES > end:
            return CUT
        heads.names_at[record] = behind
        behind += _NAMES_SIZE_BYTES + _number(packed, behind, _NAMES_SIZE_BYTES)
    rows_at = behind + hidden_bytes
    heads.hidden_at[record], heads.rows_at[record], heads.whole[record] = behind, rows_at, whole
    if whole:  # its hidden state is of another form, and no model has the fingerprint 0
        heads.counts[record] = (end - rows_at) // width
        return CUT if rows_at > end or (end - rows_at) % width else READABLE
    heads.hidden_bytes[record], heads.models[record] = hidden_bytes, _number(packed, at + 6, 4)
    heads.counts[record] = _number(packed, at + 4, 2)
    return _fault_of_rows(packed, rows_at, end, width, heads.counts[record])


@compiled_bare
def _fault_of_rows(packed: Bytes, at: Any, end: Any, width: int, count: Any) -> int:
    """Return what is wrong with ``count`` narrowed rows from ``at`` to ``end``."""
    if count == 0:
        return READABLE if at == end else CUT
    if at + MASK_BYTES > end:
        return CUT
    mask, differing = _number(packed, at, MASK_BYTES), 0
    if mask >> width:
        return NO_SUCH_BYTES
    for column in range(width):
        differing += mask >> column & 1
    return READABLE if at + MASK_BYTES + width + (count - 1) * differing == end else CUT


@compiled_bare
def widen(packed: Bytes, heads: Heads, starts: Ints, skipped: Ints, scratch: Ints, rows: Bytes) -> None:
    """Put the rows of all readable records into ``rows`` [E, width], but the first ``skipped`` [R] of each.

    Those of a record stand from its start [R] on. ``scratch`` is [width].
    """
    for record in range(len(heads.counts)):
        first = skipped[record]
        start = starts[record] - first
        widen_rows(packed, heads, record, first, heads.counts[record], start, scratch, rows)


@compiled_bare
def widen_rows(
    packed: Bytes, heads: Heads, record: Any, first: Any, end: Any, start: Any, scratch: Ints, rows: Bytes
) -> None:
    """Put the rows ``first`` to ``end`` of a record into ``rows``, where row 0 would stand at ``start``."""
    width, at = rows.shape[1], heads.rows_at[record]
    if heads.whole[record]:
        for row in range(first, end):
            copy_bytes(packed, at + row * width, rows[start + row], 0, width)
        return
    if first >= end:
        return
    differing = differing_columns(packed, at, width, scratch)
    top = packed[at + MASK_BYTES : at + MASK_BYTES + width]
    for row in range(first, end):
        target = rows[start + row]
        copy_bytes(top, 0, target, 0, width)
        if row:
            behind = at + MASK_BYTES + width + (row - 1) * differing
            current = packed[behind : behind + differing]
            for place in range(np.uint64(differing)):
                target[np.uint64(scratch[place])] = current[place]


@compiled_bare
def narrow_row_stands(
    packed: Bytes, heads: Heads, record: Any, first: Any, end: Any, wanted: Bytes, size: int, scratch: Ints
) -> Any:
    """Tell whether one of the rows ``first`` to ``end`` of a narrowed record begins as ``wanted`` does.

    ``size`` bytes are compared. ``scratch`` is [width].
    """
    at, width = heads.rows_at[record], len(wanted)
    differing, told = differing_columns(packed, at, width, scratch), 0
    top = packed[at + MASK_BYTES : at + MASK_BYTES + width]
    as_top = True
    for column in range(size):
        if told < differing and scratch[told] == column:
            told += 1
        elif top[column] != wanted[column]:
            return False  # all rows have another byte there
        as_top &= top[column] == wanted[column]
    if as_top and first == 0:
        return True
    if told == 0:
        return as_top and first < end
    byte = wanted[np.uint64(scratch[0])]
    behind = at + MASK_BYTES + width - differing
    for row in range(max(first, 1), end):
        begin = behind + row * differing
        if packed[begin] == byte:
            place = 1
            while place < told and packed[begin + place] == wanted[scratch[place]]:
                place += 1
            if place == told:
                return True
    return False


@compiled_bare
def differing_columns(packed: Bytes, at: Any, width: int, columns: Ints) -> Any:
    """Put the columns whose bit is set in the mask at ``at`` into ``columns``, and return their number."""
    differing = 0
    for column in range(width):
        if packed[at + column // 8] >> (column % 8) & 1:
            columns[differing] = column
            differing += 1
    return differing


@compiled_bare
def _number(packed: Bytes, at: Any, size: int) -> Any:
    """Return the number in ``size`` bytes, little-endian."""
    number: Any = 0
    for place in range(size):
        number |= np.int64(packed[at + place]) << (8 * place)
    return number


@compiled_bare
def copy_bytes(source: Bytes, start: Any, target: Bytes, to: Any, size: Any) -> None:
    """Put ``size`` bytes of ``source`` from ``start`` on into ``target`` from ``to`` on."""
    taken, put = source[start : start + size], target[to : to + size]
    for place in range(np.uint64(size)):
        put[place] = taken[place]
