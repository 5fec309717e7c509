"""YOOCHOOSE (RecSys Challenge 2015) clicks and buys: no header, in order of sessions.

The log knows sessions but no users, so a session is its own user.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from producers.readers.delimited import Cells, read_delimited
from producers.readers.lines import LogLine
from producers.readers.log_file import LogFile
from producers.readers.values import decimal, iso_ms, whole_number

_CLICK_COLUMNS: Final = ("session", "time", "item", "category")
_BUY_COLUMNS: Final = ("session", "time", "item", "price", "quantity")
_ABSENT: Final = "0"


def read_yoochoose_clicks(log: LogFile) -> Iterator[LogLine]:
    """Yield the lines of ``yoochoose-clicks.dat``. A category of 0 means that it is not known."""
    return read_delimited(log, _CLICK_COLUMNS, _click_fields, header=False)


def read_yoochoose_buys(log: LogFile) -> Iterator[LogLine]:
    """Yield the lines of ``yoochoose-buys.dat``. A price or quantity of 0 means that it is not known."""
    return read_delimited(log, _BUY_COLUMNS, _buy_fields, header=False)


def _click_fields(cells: Cells) -> dict[str, Any]:
    session, time, item, category = cells
    return _fields(session, time, item) | {
        "event_type": "view",
        "category": None if category in ("", _ABSENT) else category,
    }


def _buy_fields(cells: Cells) -> dict[str, Any]:
    session, time, item, price, quantity = cells
    return _fields(session, time, item) | {
        "event_type": "purchase",
        "price": None if price == _ABSENT else decimal(price),
        "quantity": None if quantity == _ABSENT else whole_number(quantity),
    }


def _fields(session: str, time: str, item: str) -> dict[str, Any]:
    return {"user_id": session, "session_id": session, "event_time_ms": iso_ms(time), "item_id": item}
