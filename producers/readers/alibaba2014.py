"""Alibaba 2014, season 1: one event a line, in order of users, with a month and a day but no year or hour.

The year is an option. Among the lines of one user, the n-th of a day (from 0) is put n seconds after the
day's start in UTC, at most at its last second. So the file's order survives a sort by time, and the same file
always gives the same times. The file's order inside a day means little, and so do these seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from producers.readers.delimited import Cells, read_delimited
from producers.readers.lines import LogLine
from producers.readers.log_file import LogFile

DEFAULT_YEAR: Final = 2014
_COLUMNS: Final = ("user_id", "brand_id", "type", "visit_datetime")
_TYPES: Final = {"0": "view", "1": "purchase", "2": "favorite", "3": "cart"}
_LAST_SECOND: Final = 86_399


def read_alibaba2014(log: LogFile, year: int = DEFAULT_YEAR) -> Iterator[LogLine]:
    """Yield the lines of ``t_alibaba_data.csv``; the items are its brands."""
    return read_delimited(log, _COLUMNS, _fields_in(year), header=True)


def _fields_in(year: int) -> Callable[[Cells], dict[str, Any]]:
    lines_of_day: dict[str, int] = {}
    current_user = ""

    def fields(cells: Cells) -> dict[str, Any]:
        nonlocal current_user
        user, brand, kind, day = cells
        if user != current_user:
            current_user = user
            lines_of_day.clear()
        place = lines_of_day[day] = lines_of_day.get(day, -1) + 1
        start_ms = _day_start_ms(year, day)
        in_day_ms = min(place, _LAST_SECOND) * 1_000
        return {
            "user_id": user,
            "event_type": _TYPES.get(kind, f"alibaba {kind}"),
            "event_time_ms": start_ms + in_day_ms if isinstance(start_ms, int) else start_ms,
            "item_id": brand,
        }

    return fields


def _day_start_ms(year: int, day: str) -> int | str | None:
    month, _, day_of_month = day.partition("-")
    try:
        start = datetime(year, int(month), int(day_of_month), tzinfo=UTC)
    except ValueError:
        return day or None
    return int(start.timestamp()) * 1_000
