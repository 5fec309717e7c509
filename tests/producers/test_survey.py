"""A look through a log, against counts made by hand."""

from __future__ import annotations

import pytest

from producers.errors import LogNotSorted
from producers.events import Event, EventType
from producers.readers import LogLine, ReadEvent, RejectedLine
from producers.selection import Selection, UserSample
from producers.survey import Surveyor

START_MS = 1_600_000_000_000
DAY_MS = 86_400_000


def line_at(number: int, after_ms: int, kind: EventType = EventType.VIEW) -> ReadEvent:
    event = Event(
        event_id=f"e{number}",
        user_id=f"u{number}",
        event_type=kind,
        item_id="i",
        event_time_ms=START_MS + after_ms,
    )
    return ReadEvent(number, event)


def test_what_a_log_holds_is_counted() -> None:
    lines: list[LogLine] = [line_at(number, number * 1_000) for number in range(20)]
    lines[4] = line_at(4, 4_000, EventType.CART)
    lines[10] = line_at(10, 700 * DAY_MS)
    lines.insert(6, RejectedLine(6, "empty_value", ""))
    survey = Surveyor().look(lines)
    assert (survey.lines, survey.events, survey.rejected) == (21, 20, {"empty_value": 1})
    assert survey.event_types == {"view": 19, "cart": 1}
    assert (survey.earliest_ms, survey.latest_ms) == (START_MS, START_MS + 700 * DAY_MS)
    assert (survey.first_ms, survey.last_ms, survey.span_ms) == (START_MS, START_MS + 19_000, 19_000)
    assert (survey.strays, survey.slightly_late, survey.unsorted) == (1, 0, 0)
    survey.require_order()


def test_gaps_over_the_limit_are_measured_within_the_span_that_was_asked_for() -> None:
    times_ms = [0, 10, 5_010, 5_020, 9_020, 9_030]
    lines = [line_at(number, after_ms) for number, after_ms in enumerate(times_ms)]
    survey = Surveyor(gap_limit_ms=1_000).look(lines)
    assert (survey.gaps_over_limit, survey.ms_over_limit) == (2, 4_000 + 3_000)
    part = Selection(from_ms=START_MS + 5_010, to_ms=START_MS + 9_030)
    sample = UserSample(10)
    survey = Surveyor(part, gap_limit_ms=1_000, sample=sample).look(lines)
    assert (survey.first_ms, survey.last_ms) == (START_MS + 5_010, START_MS + 9_020)
    assert (survey.gaps_over_limit, survey.ms_over_limit) == (1, 3_000)
    assert sample.users == {"u2", "u3", "u4"}
    assert survey.lines == 6


def test_a_log_out_of_order_is_surveyed_to_its_end_and_then_refused() -> None:
    lines = [line_at(number, -number * 3_600_000) for number in range(30)]
    survey = Surveyor().look(lines)
    assert survey.lines == 30
    assert survey.unsorted > 20
    with pytest.raises(LogNotSorted, match=f"line {survey.first_unsorted_line} "):
        survey.require_order()


def test_an_empty_log_has_no_times() -> None:
    survey = Surveyor().look([])
    assert (survey.lines, survey.earliest_ms, survey.first_ms, survey.span_ms) == (0, None, None, 0)
