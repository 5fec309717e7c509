"""What a look through a log found, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from foreclick.log_options import LogSource
from foreclick.progress import shown_progress
from producers.readers import LogLine
from producers.survey import Survey

_LINES_BETWEEN_UPDATES: Final = 10_000


def read_with_progress(source: LogSource, title: str) -> Iterator[LogLine]:
    """Read a log from start to end, showing how far it is by the bytes of its file."""
    bytes_read = 0

    def note_bytes(count: int) -> None:
        nonlocal bytes_read
        bytes_read = count

    lines = source.read(note_bytes)
    with shown_progress(title, source.path.stat().st_size) as update:
        for number, line in enumerate(lines, start=1):
            yield line
            if number % _LINES_BETWEEN_UPDATES == 0:
                update(bytes_read, f"{number:,} lines")


def in_words(survey: Survey) -> list[str]:
    """Tell what a log holds, a line for each thing."""
    rejected = sum(survey.rejected.values())
    told = [f"lines     {survey.lines:,}", f"events    {survey.events:,}"]
    told += [f"          {count:,} {name}" for name, count in _by_count(survey.event_types)]
    told += [f"rejected  {rejected:,}"]
    told += [f"          {count:,} {reason}" for reason, count in _by_count(survey.rejected)]
    if survey.earliest_ms is not None and survey.latest_ms is not None:
        told.append(f"from      {as_time(survey.earliest_ms)}")
        told.append(f"to        {as_time(survey.latest_ms)}")
    return [*told, f"order     {order_in_words(survey)}"]


def order_in_words(survey: Survey) -> str:
    """Tell whether a log is in order of time, and what is not."""
    if survey.first_unsorted_line is not None:
        line = survey.first_unsorted_line
        return f"not by time: {survey.unsorted:,} events, the first at line {line:,}; replay it with --sort"
    told = "by time"
    if survey.slightly_late:
        told += f", but for {survey.slightly_late:,} events that are a little late"
    if survey.strays:
        told += f"; {survey.strays:,} events whose time is far from their neighbours' do not move the clock"
    return told


def as_json(survey: Survey) -> dict[str, Any]:
    """Give the survey's figures under their names."""
    return {
        "lines": survey.lines,
        "events": survey.events,
        "event_types": survey.event_types,
        "rejected": survey.rejected,
        "earliest_ms": survey.earliest_ms,
        "latest_ms": survey.latest_ms,
        "first_unsorted_line": survey.first_unsorted_line,
        "unsorted": survey.unsorted,
        "slightly_late": survey.slightly_late,
        "strays": survey.strays,
    }


def as_time(time_ms: int) -> str:
    """Write a Unix time in milliseconds as UTC, or as it is where the calendar ends."""
    try:
        return datetime.fromtimestamp(time_ms / 1e3, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"


def _by_count(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
