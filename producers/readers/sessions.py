"""Session files: the items of one session a line, in order, with white space between them.

The format has neither users nor times nor types. Each line is a shopper of its own, whose name begins with
the log's fingerprint; each item is a view; the views of the whole file follow one another a second apart
from `BASE_TIME_MS` on, so that the log is in order of time. A "line" of the counts is an item.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from producers.readers.lines import LogLine, RejectedLine
from producers.readers.log_file import LogFile

BASE_TIME_MS: Final = 1_577_836_800_000  # 2020-01-01T00:00:00Z
SPACING_MS: Final = 1_000


def read_sessions(log: LogFile) -> Iterator[LogLine]:
    """Yield each item of each session."""
    time_ms = BASE_TIME_MS
    for number, raw in log.lines():
        try:
            items = raw.decode().split()
        except UnicodeDecodeError:
            yield RejectedLine(number, "invalid_utf8", "the line is not UTF-8")
            continue
        if not items:
            yield RejectedLine(number, "empty_value", "the line is empty")
        shopper = log.event_id(number)
        for place, item in enumerate(items):
            fields = {
                "user_id": shopper,
                "session_id": shopper,
                "event_type": "view",
                "event_time_ms": time_ms,
                "item_id": item,
            }
            yield log.line_of(number, log.event_id(number, place), fields)
            time_ms += SPACING_MS
