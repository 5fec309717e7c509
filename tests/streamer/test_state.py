"""The record in which Redis keeps a user's state."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.windows import ROW_BYTES, item_fingerprint
from streamer.errors import StateUnreadable
from streamer.state import UserState, pack_states, unpack_state, unpack_states

ROWS = bytes(range(ROW_BYTES)) * 2
HIDDEN = struct.pack("<3f", 0.5, -1.0, 2.0)


@given(
    rows=st.integers(0, 4).flatmap(
        lambda count: st.binary(min_size=count * ROW_BYTES, max_size=count * ROW_BYTES)
    ),
    repeated=st.integers(1, 3),
    hidden=st.binary(max_size=40),
    model=st.integers(0, 2**32 - 1),
    partial=st.booleans(),
)
def test_a_state_is_read_as_it_was_written(
    rows: bytes, repeated: int, hidden: bytes, model: int, partial: bool
) -> None:
    state = unpack_state(UserState(rows * repeated, hidden, model, partial=partial).packed())
    assert (state.rows, state.hidden, state.model, state.partial) == (rows * repeated, hidden, model, partial)


def test_the_record_is_laid_out_as_documented() -> None:
    # format 3, flags 1 (partial), 12 bytes of hidden state, 3 rows, the fingerprint: little-endian
    header = bytes([3, 1, 12, 0, 3, 0, 0x78, 0x56, 0x34, 0x12])
    first = bytes(range(ROW_BYTES))
    second, third = bytes([7, *first[1:]]), bytes([9, *first[1:-1], 255])
    mask = (1 | 1 << ROW_BYTES - 1).to_bytes(4, "little")  # the first byte differs between rows, and the last
    narrowed = mask + first + bytes([7, first[-1]]) + bytes([9, 255])
    packed = UserState(first + second + third, HIDDEN, 0x12345678, partial=True).packed()
    assert packed == header + HIDDEN + narrowed


def test_records_are_packed_and_read_together_as_alone() -> None:
    states = [UserState(ROWS, HIDDEN, 7), UserState(), UserState(ROWS[:ROW_BYTES], b"", 8, {1: "hat"})]
    together = pack_states(states)
    assert together == [state.packed() for state in states]
    read = unpack_states([together[0], None, *together[1:]])
    assert [state.rows for state in read] == [ROWS, b"", b"", ROWS[:ROW_BYTES]]


def test_of_a_record_with_whole_rows_the_window_is_read_and_its_state_run_anew() -> None:
    record = bytes([2, 1, 12, 0, 0x78, 0x56, 0x34, 0x12]) + HIDDEN + ROWS
    state = unpack_state(record)
    assert (state.rows, state.hidden, state.model, state.partial) == (ROWS, b"", 0, True)
    for cut in (7, 19, len(record) - 1):
        with pytest.raises(StateUnreadable, match="cut"):
            unpack_state(record[:cut])


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=128), max_size=4))
def test_names_are_kept_beside_the_window(names: list[str]) -> None:
    by_item = {item_fingerprint(name): name for name in names}
    state = UserState(b"", b"1234", 7, by_item)
    read = unpack_state(state.packed())
    assert (dict(read.names), read.hidden) == (by_item, b"1234")


@pytest.mark.parametrize("length", [11, 13, 15, 17])
def test_names_that_are_cut_are_refused(length: int) -> None:
    record = UserState(b"", b"1234", 7, {item_fingerprint("hat"): "hat"}).packed()
    with pytest.raises(StateUnreadable, match="delete the worker's keys"):
        unpack_state(record[:length])


def test_no_record_is_an_empty_state() -> None:
    state = unpack_state(None)
    assert (state.rows, state.hidden, state.model, state.partial) == (b"", b"", 0, False)


@pytest.mark.parametrize("length", [0, 9, 10, 21, 22, 25, -1])
def test_a_cut_record_is_refused_with_the_cure(length: int) -> None:
    record = UserState(ROWS, HIDDEN, 7).packed()
    with pytest.raises(StateUnreadable, match="delete the worker's keys"):
        unpack_state(record[:length])


def test_a_mask_of_bytes_that_no_row_has_is_refused() -> None:
    record = bytearray(UserState(ROWS, b"", 7).packed())
    record[13] |= 0x80  # the mask's highest bit
    with pytest.raises(StateUnreadable, match="no row has"):
        unpack_state(bytes(record))


def test_another_format_is_refused() -> None:
    record = UserState(ROWS, HIDDEN, 7).packed()
    with pytest.raises(StateUnreadable, match="unknown format"):
        unpack_state(b"\1" + record[1:])
