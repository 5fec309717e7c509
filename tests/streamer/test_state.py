"""The record in which Redis keeps a user's state."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.windows import ROW_BYTES, item_fingerprint
from streamer.errors import StateUnreadable
from streamer.state import UserState, unpack_state

ROWS = bytes(range(ROW_BYTES)) * 2
HIDDEN = struct.pack("<3f", 0.5, -1.0, 2.0)


@given(
    rows=st.integers(0, 4).flatmap(
        lambda count: st.binary(min_size=count * ROW_BYTES, max_size=count * ROW_BYTES)
    ),
    floats=st.integers(0, 10).flatmap(lambda count: st.binary(min_size=4 * count, max_size=4 * count)),
    model=st.integers(0, 2**32 - 1),
    partial=st.booleans(),
)
def test_a_state_is_read_as_it_was_written(rows: bytes, floats: bytes, model: int, partial: bool) -> None:
    state = unpack_state(UserState(rows, floats, model, partial=partial).packed())
    assert (state.rows, state.hidden, state.model, state.partial) == (rows, floats, model, partial)


def test_the_record_is_laid_out_as_documented() -> None:
    # format 2, flags 1 (partial), 12 bytes of hidden state, the fingerprint: little-endian
    header = bytes([2, 1, 12, 0, 0x78, 0x56, 0x34, 0x12])
    assert UserState(ROWS, HIDDEN, 0x12345678, partial=True).packed() == header + HIDDEN + ROWS


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=128), max_size=4))
def test_names_are_kept_beside_the_window(names: list[str]) -> None:
    by_item = {item_fingerprint(name): name for name in names}
    state = UserState(b"", b"1234", 7, by_item)
    read = unpack_state(state.packed())
    assert (dict(read.names), read.hidden) == (by_item, b"1234")


@pytest.mark.parametrize("length", [9, 11, 13, 15])
def test_names_that_are_cut_are_refused(length: int) -> None:
    record = UserState(b"", b"1234", 7, {item_fingerprint("hat"): "hat"}).packed()
    with pytest.raises(StateUnreadable, match="delete the worker's keys"):
        unpack_state(record[:length])


def test_no_record_is_an_empty_state() -> None:
    state = unpack_state(None)
    assert (state.rows, state.hidden, state.model, state.partial) == (b"", b"", 0, False)


@pytest.mark.parametrize("length", [0, 7, 8, 19, 21, 20 + ROW_BYTES - 1, 20 + 2 * ROW_BYTES - 1])
def test_a_cut_record_is_refused_with_the_cure(length: int) -> None:
    record = UserState(ROWS, HIDDEN, 7).packed()
    with pytest.raises(StateUnreadable, match="delete the worker's keys"):
        unpack_state(record[:length])


def test_a_hidden_state_that_is_no_whole_number_of_floats_is_refused() -> None:
    with pytest.raises(StateUnreadable, match="cut"):
        unpack_state(UserState(ROWS, HIDDEN[:-1], 7).packed())


def test_another_format_is_refused() -> None:
    record = UserState(ROWS, HIDDEN, 7).packed()
    with pytest.raises(StateUnreadable, match="unknown format"):
        unpack_state(b"\1" + record[1:])
