"""When events are due, and where their times are put."""

from __future__ import annotations

from dataclasses import replace

import pytest

from producers.pacing import AtOnce, FixedRate, LogGaps, Pacing
from producers.survey import Survey
from producers.timeline import kept_times, times_shifted_to_now

START_MS = 1_600_000_000_000
NOW_MS = 1_700_000_000_000
SPAN_MS = 3_600_000
SURVEY = Survey(
    lines=3,
    events=3,
    rejected={},
    event_types={"view": 3},
    earliest_ms=START_MS,
    latest_ms=START_MS + SPAN_MS,
    first_unsorted_line=None,
    unsorted=0,
    slightly_late=0,
    strays=0,
    first_ms=START_MS,
    last_ms=START_MS + SPAN_MS,
    gaps_over_limit=0,
    ms_over_limit=0,
)


def due_ms(pacing: LogGaps | FixedRate, readings_ms: list[int]) -> list[float]:
    due = []
    for reading_ms in readings_ms:
        pacing.advance(reading_ms)
        due.append(pacing.due_ms())
    return due


def test_the_logs_gaps_are_divided_by_the_speed() -> None:
    readings_ms = [START_MS, START_MS + 1_000, START_MS + 1_000, START_MS + 61_000]
    assert due_ms(LogGaps(), readings_ms) == [0, 1_000, 1_000, 61_000]
    assert due_ms(LogGaps(speed=10), readings_ms) == [0, 100, 100, 6_100]


def test_a_gap_of_years_is_cut_and_counted_and_what_follows_keeps_its_gaps() -> None:
    pacing = LogGaps(speed=2, max_gap_s=5)
    year_ms = 365 * 86_400_000
    assert due_ms(pacing, [START_MS, START_MS + year_ms, START_MS + year_ms + 500]) == [0, 5_000, 5_250]
    assert pacing.cut_gaps == 1
    assert pacing.cut_ms == year_ms / 2 - 5_000


def test_a_rate_is_kept_whatever_the_logs_times() -> None:
    assert due_ms(FixedRate(500), [START_MS, START_MS + 10**9, START_MS]) == [0, 2, 4]


def test_at_once_has_no_due_time() -> None:
    pacing: Pacing = AtOnce()
    pacing.advance(START_MS)
    assert pacing.due_ms() is None


@pytest.mark.parametrize("speed", [0, -1])
def test_a_speed_or_rate_that_never_sends_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="over 0"):
        LogGaps(speed)
    with pytest.raises(ValueError, match="over 0"):
        FixedRate(speed)


def test_kept_times_put_each_loop_a_second_after_the_one_before() -> None:
    assert kept_times(SURVEY).shift_ms == 0
    assert kept_times(SURVEY).loop_span_ms == SPAN_MS + 1_000


@pytest.mark.parametrize(
    ("sending_ms", "first_ms"),
    [
        (SPAN_MS, NOW_MS),  # at the log's own speed, the first event happens now
        (SPAN_MS // 2, NOW_MS - SPAN_MS // 2),  # twice as fast: the last happens when it is sent
        (0, NOW_MS - SPAN_MS),  # at once: the last happens now
        (SPAN_MS * 3, NOW_MS),  # slower: the first happens now, the others before they are sent
    ],
)
def test_times_are_shifted_up_to_now_and_never_into_the_future(sending_ms: int, first_ms: int) -> None:
    assert times_shifted_to_now(SURVEY, 1, NOW_MS, sending_ms).shift_ms == first_ms - START_MS


def test_the_last_of_several_loops_sets_the_shift() -> None:
    timeline = times_shifted_to_now(SURVEY, 3, NOW_MS, 0)
    assert START_MS + SPAN_MS + timeline.shift_ms + 2 * timeline.loop_span_ms == NOW_MS


def test_a_gap_that_is_cut_takes_no_time() -> None:
    # One gap of an hour, cut to a minute: at the log's speed, the last event is due in a minute.
    survey = replace(SURVEY, gaps_over_limit=1, ms_over_limit=SPAN_MS - 60_000)
    timeline = times_shifted_to_now(survey, 1, NOW_MS, 60_000)
    assert START_MS + SPAN_MS + timeline.shift_ms == NOW_MS + 60_000


def test_a_log_without_events_is_not_shifted() -> None:
    assert times_shifted_to_now(replace(SURVEY, first_ms=None, last_ms=None), 1, NOW_MS, 0).shift_ms == 0
