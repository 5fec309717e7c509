"""The lookback against plain slices of plain lists."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model_store.lookback import Lookback, lookback_at, lookback_in_windows, lookback_of_windows
from model_store.windows import ROW_BYTES, rows_of

bytes_of_rows = st.binary(min_size=ROW_BYTES, max_size=ROW_BYTES)
windows_of_rows = st.lists(st.lists(bytes_of_rows, min_size=1, max_size=9), min_size=1, max_size=5)


def pasts(lookback: Lookback) -> list[list[bytes]]:
    """The rows that are present, newest first."""
    return [
        [row.tobytes() for row in rows[present]]
        for rows, present in zip(lookback.rows, lookback.present, strict=True)
    ]


@given(windows_of_rows, st.integers(1, 12))
def test_a_window_has_its_last_row_and_those_before_it(windows: list[list[bytes]], events: int) -> None:
    last, lookback = lookback_of_windows([b"".join(window) for window in windows], events)
    assert [row.tobytes() for row in last] == [window[-1] for window in windows]
    assert lookback.rows.shape == lookback.present.shape == (len(windows), events)
    assert pasts(lookback) == [window[:-1][::-1][:events] for window in windows]


@given(windows_of_rows, st.integers(1, 12))
def test_no_row_of_one_window_is_the_past_of_another(windows: list[list[bytes]], events: int) -> None:
    rows = rows_of([row for window in windows for row in window])
    lookback = lookback_in_windows(rows, np.array([len(window) for window in windows]), events)
    assert pasts(lookback) == [
        window[:place][::-1][:events] for window in windows for place in range(len(window))
    ]


def test_no_window_has_no_rows() -> None:
    last, lookback = lookback_of_windows([], 3)
    assert (last.shape, lookback.rows.shape, lookback.present.shape) == ((0,), (0, 3), (0, 3))


def test_the_same_event_may_stand_at_another_place() -> None:
    rows = rows_of([bytes([number] * ROW_BYTES) for number in range(4)])
    lookback = lookback_at(rows, np.array([3, 3]), np.array([3, 1]), 2)
    assert pasts(lookback) == [[rows[2].tobytes(), rows[1].tobytes()], [rows[2].tobytes()]]
