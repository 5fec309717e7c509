"""REES46 "eCommerce behavior data from multi category store": one event a line, in order of time.

``category`` is the category's code in words, or its number where the log has no code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from producers.readers.delimited import Cells, read_delimited
from producers.readers.lines import LogLine
from producers.readers.log_file import LogFile
from producers.readers.values import decimal, iso_ms

_COLUMNS: Final = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)


def read_rees46(log: LogFile) -> Iterator[LogLine]:
    """Yield the lines of a monthly file."""
    return read_delimited(log, _COLUMNS, _fields, header=True)


def _fields(cells: Cells) -> dict[str, Any]:
    time, event_type, product, category_id, category_code, brand, price, user, session = cells
    return {
        "user_id": user,
        "event_type": event_type,
        "event_time_ms": iso_ms(time),
        "item_id": product,
        "session_id": session or None,
        "category": category_code or category_id or None,
        "brand": brand or None,
        "price": decimal(price),
    }
