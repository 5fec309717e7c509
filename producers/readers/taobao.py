"""Taobao UserBehavior: one event a line without a header; the published file is in order of users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from producers.readers.delimited import Cells, read_delimited
from producers.readers.lines import LogLine
from producers.readers.log_file import LogFile
from producers.readers.values import unix_ms

_COLUMNS: Final = ("user", "item", "category", "behaviour", "unix_s")
_TYPES: Final = {"pv": "view", "cart": "cart", "fav": "favorite", "buy": "purchase"}


def read_taobao(log: LogFile) -> Iterator[LogLine]:
    """Yield the lines of ``UserBehavior.csv``.

    Some of its times are wrong. Those before 2000 or over a day in the future are rejected; a wrong time
    between them is a valid event, which a replay's clock does not follow (`producers.log_clock`).
    """
    return read_delimited(log, _COLUMNS, _fields, header=False)


def _fields(cells: Cells) -> dict[str, Any]:
    user, item, category, behaviour, time = cells
    return {
        "user_id": user,
        "event_type": _TYPES.get(behaviour, f"taobao {behaviour}"),
        "event_time_ms": unix_ms(time, 1_000),
        "item_id": item,
        "category": category or None,
    }
