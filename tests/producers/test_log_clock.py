"""The log's own clock: exact on a log in order, deaf to single wrong times, strict about real disorder."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.errors import LogNotSorted
from producers.events import Event, EventType
from producers.log_clock import LogClock
from producers.readers import LogLine, ReadEvent, RejectedLine

START_MS = 1_600_000_000_000
MINUTE_MS = 60_000
FAR_FUTURE_MS = 1_700_000_000_000
FAR_PAST_MS = 1_000_000_000_000


def lines_at(times_ms: Iterable[int]) -> list[LogLine]:
    return [
        ReadEvent(
            number,
            Event(
                event_id=str(number),
                user_id="u",
                event_type=EventType.VIEW,
                item_id="i",
                event_time_ms=time_ms,
            ),
        )
        for number, time_ms in enumerate(times_ms, start=1)
    ]


def readings(times_ms: Iterable[int], clock: LogClock | None = None) -> list[int]:
    clock = clock or LogClock()
    return [reading_ms for _, reading_ms in clock.follow(lines_at(times_ms))]


ascending = st.lists(st.integers(START_MS, START_MS + 10**9), max_size=60).map(sorted)


@given(ascending)
def test_on_a_log_in_order_the_clock_reads_each_events_own_time(times_ms: list[int]) -> None:
    clock = LogClock(tolerance_ms=0)
    assert readings(times_ms, clock) == times_ms
    assert (clock.strays, clock.slightly_late, clock.unsorted) == (0, 0, 0)


@given(st.lists(st.integers(START_MS, START_MS + 10**6), min_size=9, max_size=60))
def test_away_from_the_ends_the_clock_is_the_highest_median_of_nine_so_far(times_ms: list[int]) -> None:
    found = readings(times_ms, LogClock(tolerance_ms=10**7))
    for place in range(5, len(times_ms) - 4):
        median_ms = statistics.median(times_ms[place - 4 : place + 5])
        assert found[place] == max(found[place - 1], median_ms)


@pytest.mark.parametrize("place", range(20))
@pytest.mark.parametrize("wrong_ms", [FAR_FUTURE_MS, FAR_PAST_MS])
def test_one_wrong_time_anywhere_moves_no_other_reading(place: int, wrong_ms: int) -> None:
    times_ms = [START_MS + number * MINUTE_MS for number in range(20)]
    right_ms = times_ms.copy()
    times_ms[place] = wrong_ms
    found = readings(times_ms)
    others = [number for number in range(20) if number != place]
    assert all(abs(found[number] - right_ms[number]) <= MINUTE_MS for number in others)


def test_a_wrong_time_is_counted_as_a_stray() -> None:
    clock = LogClock()
    times_ms = [START_MS + number * MINUTE_MS for number in range(30)]
    times_ms[10], times_ms[12], times_ms[20] = FAR_FUTURE_MS, FAR_FUTURE_MS, FAR_PAST_MS
    readings(times_ms, clock)
    assert (clock.strays, clock.unsorted) == (3, 0)
    assert (clock.first_ms, clock.last_ms) == (START_MS, START_MS + 29 * MINUTE_MS)


def test_a_long_gap_is_believed_when_the_log_goes_on_after_it() -> None:
    times_ms = [START_MS + number for number in range(10)] + [FAR_FUTURE_MS + number for number in range(10)]
    assert readings(times_ms) == times_ms


def test_small_disorder_is_counted_and_the_clock_does_not_run_backwards() -> None:
    clock = LogClock(tolerance_ms=5_000)
    times_ms = [START_MS + 1_000 * number for number in (0, 1, 3, 2, 4, 5, 7, 6, 8, 9, 10, 11, 12)]
    found = readings(times_ms, clock)
    assert found == sorted(found)
    assert (clock.slightly_late, clock.strays, clock.unsorted) == (2, 0, 0)


def test_a_log_that_is_by_user_is_not_sorted_and_the_error_says_where_and_how_to_cure_it() -> None:
    hour_ms = 60 * MINUTE_MS
    times_ms = [START_MS + hour_ms * number for number in range(10)] * 2
    with pytest.raises(LogNotSorted, match="--sort") as raised:
        readings(times_ms)
    # Lines 11 on begin anew at the start; from line 8 on, they are in the medians.
    assert 8 <= raised.value.line_number <= 13
    clock = LogClock(strict=False)
    readings(times_ms, clock)
    assert clock.first_unsorted_line == raised.value.line_number


def test_rejected_lines_pass_at_once_and_every_line_comes_out() -> None:
    lines = lines_at([START_MS, START_MS + 1])
    broken: LogLine = RejectedLine(2, "empty_value", "")
    found = [line for line, _ in LogClock().follow([lines[0], broken, lines[1]])]
    assert found == [broken, lines[0], lines[1]]
