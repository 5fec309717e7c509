"""Users' records, written for a whole group at once; `kernels.state_records` says how they are laid out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare
from model_store.kernels.state_records import (
    FORMAT,
    MASK_BYTES,
    NAMES_FLAG,
    PARTIAL_FLAG,
    Bytes,
    Heads,
    Ints,
    copy_bytes,
    differing_columns,
    widen_rows,
)
from model_store.kernels.text import Texts


@compiled_bare
def write_records(
    rows: Bytes,
    starts: Ints,
    counts: Ints,
    hidden: Texts,
    names: Texts,
    partial: npt.NDArray[np.bool_],
    models: Ints,
    packed: Bytes,
    heads: Heads,
    grown: Ints,
    spare: Bytes,
    scratch: Ints,
    out: Bytes,
    ends: Ints,
) -> None:
    """Write R records one behind another into ``out``, and where each ends into ``ends``. All are [R].

    A window is ``counts`` of ``rows`` [E, width] from ``starts`` on; ``scratch`` is [width]. An empty text of
    ``names`` stands for none. ``grown`` are the narrowed records of ``packed`` and ``heads`` behind whose
    rows a window only has some more, -1 for none; of it only these are read from ``rows``. ``spare`` has
    place for the longest window.
    """
    at: Any = 0
    for record in range(len(counts)):
        hidden_bytes = hidden.ends[record] - hidden.starts[record]
        names_bytes = names.ends[record] - names.starts[record]
        flags = (PARTIAL_FLAG if partial[record] else 0) | (NAMES_FLAG if names_bytes else 0)
        at = _put_number(out, at, FORMAT, 1)
        at = _put_number(out, at, flags, 1)
        at = _put_number(out, at, hidden_bytes, 2)
        at = _put_number(out, at, counts[record], 2)
        at = _put_number(out, at, models[record], 4)
        copy_bytes(names.text, names.starts[record], out, at, names_bytes)
        at += names_bytes
        copy_bytes(hidden.text, hidden.starts[record], out, at, hidden_bytes)
        at += hidden_bytes
        if grown[record] >= 0:
            at = _grow(
                rows, starts[record], counts[record], packed, heads, grown[record], spare, scratch, out, at
            )
        elif counts[record]:
            at = _narrow(rows, starts[record], counts[record], scratch, out, at)
        ends[record] = at


@compiled_bare
def _grow(
    rows: Bytes,
    first: Any,
    count: Any,
    packed: Bytes,
    heads: Heads,
    record: Any,
    spare: Bytes,
    scratch: Ints,
    out: Bytes,
    at: Any,
) -> Any:
    """Write a window whose first rows are those of a narrowed record; return where the next thing goes."""
    width, old, begin = rows.shape[1], heads.counts[record], heads.rows_at[record]
    differing = differing_columns(packed, begin, width, scratch)
    top = packed[begin + MASK_BYTES : begin + MASK_BYTES + width]
    for row in range(first + old, first + count):
        for column in range(width):
            shared = packed[begin + column // 8] >> (column % 8) & 1 == 0
            if shared and rows[row, column] != top[column]:  # one column more differs in this window
                widen_rows(packed, heads, record, 0, old, 0, scratch, spare)
                for more in range(old, count):
                    copy_bytes(rows[first + more], 0, spare[more], 0, width)
                return _narrow(spare, 0, count, scratch, out, at)
    size = MASK_BYTES + width + (old - 1) * differing
    copy_bytes(packed, begin, out, at, size)
    at += size
    for row in range(first + old, first + count):
        at = _put_columns(rows[row], scratch, differing, out, at)
    return at


@compiled_bare
def _put_columns(row: Bytes, columns: Ints, count: Any, out: Bytes, at: Any) -> Any:
    target = out[at : at + count]
    for place in range(np.uint64(count)):
        target[place] = row[np.uint64(columns[place])]
    return at + count


@compiled_bare
def _narrow(rows: Bytes, first: Any, count: Any, differs: Ints, out: Bytes, at: Any) -> Any:
    """Write a window without what its rows share; return where the next thing goes."""
    width = rows.shape[1]
    top = rows[first]
    differs[:] = 0
    for row in range(first + 1, first + count):
        current = rows[row]
        for column in range(np.uint64(width)):
            differs[column] |= top[column] ^ current[column]
    mask: Any = 0
    differing = 0
    for column in range(width):
        mask |= np.int64(differs[column] != 0) << column
        if differs[column]:
            differs[differing] = column
            differing += 1
    at = _put_number(out, at, mask, MASK_BYTES)
    copy_bytes(top, 0, out, at, width)
    at += width
    for row in range(first + 1, first + count):
        at = _put_columns(rows[row], differs, differing, out, at)
    return at


@compiled_bare
def _put_number(out: Bytes, at: Any, number: Any, size: int) -> Any:
    for place in range(size):
        out[at + place] = np.int64(number) >> (8 * place) & 255
    return at + size
