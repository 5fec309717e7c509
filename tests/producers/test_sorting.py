"""Sorting on disk gives what `sorted` gives in memory."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.errors import SortError
from producers.events import Event, EventType
from producers.readers import LogLine, ReadEvent, RejectedLine
from producers.sorting import MOST_RUNS, sorted_by_time, sorted_log

START_MS = 1_600_000_000_000


def line_at(number: int, time_ms: int) -> ReadEvent:
    event = Event(
        event_id=str(number),
        user_id="u",
        event_type=EventType.CART,
        item_id="i",
        event_time_ms=time_ms,
        price=1.5,
    )
    return ReadEvent(number, event)


def by_time(line: ReadEvent) -> int:
    return line.event.event_time_ms


@given(
    times_ms=st.lists(st.none() | st.integers(START_MS, START_MS + 20), max_size=200),
    run_events=st.integers(1, 50),
)
def test_events_come_by_time_and_equal_times_in_the_logs_order(
    times_ms: list[int | None], run_events: int
) -> None:
    lines: list[LogLine] = [
        RejectedLine(number, "empty_value", "") if time_ms is None else line_at(number, time_ms)
        for number, time_ms in enumerate(times_ms, start=1)
    ]
    events = sorted((line for line in lines if isinstance(line, ReadEvent)), key=by_time)
    rejected = [line for line in lines if isinstance(line, RejectedLine)]
    assert list(sorted_by_time(lines, run_events=run_events)) == [*rejected, *events]


def test_more_runs_than_may_be_open_are_merged_in_between() -> None:
    lines = [line_at(number, START_MS + (number * 7919) % 1000) for number in range(MOST_RUNS * 3)]
    assert list(sorted_by_time(lines, run_events=1)) == sorted(lines, key=by_time)


def test_a_sorted_log_is_read_as_often_as_asked_and_leaves_nothing_behind(tmp_path: Path) -> None:
    lines = [line_at(number, START_MS - number) for number in range(10)]
    with sorted_log(lines, tmp_path, run_events=3) as read:
        assert list(read()) == list(read()) == lines[::-1]
    assert list(tmp_path.iterdir()) == []


def test_no_room_says_where() -> None:
    with TemporaryDirectory() as gone:
        missing = Path(gone) / "none"
    with pytest.raises(SortError, match="--sort-directory"):
        list(sorted_by_time([line_at(1, START_MS)], missing))
