"""Where a replay puts the log's times, loop after loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from producers.survey import Survey

_BETWEEN_LOOPS_MS: Final = 1_000


@dataclass(frozen=True)
class Timeline:
    """In loop k, from 0, an event's time is moved by ``shift_ms`` + k times ``loop_span_ms``."""

    shift_ms: int
    loop_span_ms: int


def kept_times(survey: Survey) -> Timeline:
    """Keep the log's times; each further loop begins a second after the end of the one before."""
    return Timeline(0, survey.span_ms + _BETWEEN_LOOPS_MS)


def times_shifted_to_now(survey: Survey, loops: int, start_ms: int, sending_ms: float) -> Timeline:
    """Move all times by one amount, so that they are as new as they can be without being in the future.

    The log's gaps stay as they are. ``sending_ms`` is how long all loops take to send. At the log's own speed
    every event happens when it is sent; in a faster replay the last one does, in a slower one the first.
    """
    timeline = kept_times(survey)
    if survey.first_ms is None or survey.last_ms is None:
        return timeline
    last_ms = survey.last_ms + (loops - 1) * timeline.loop_span_ms
    length_ms = loops * timeline.loop_span_ms - _BETWEEN_LOOPS_MS - loops * survey.ms_over_limit
    newest_ms = start_ms + min(int(sending_ms), length_ms)
    return Timeline(newest_ms - last_ms, timeline.loop_span_ms)
