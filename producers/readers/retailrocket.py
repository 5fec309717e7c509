"""RetailRocket ``events.csv``: one event a line, not in order of time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from producers.readers.delimited import Cells, read_delimited
from producers.readers.lines import LogLine
from producers.readers.log_file import LogFile
from producers.readers.values import unix_ms

_COLUMNS: Final = ("timestamp", "visitorid", "event", "itemid", "transactionid")
_TYPES: Final = {"view": "view", "addtocart": "cart", "transaction": "purchase"}


def read_retailrocket(log: LogFile) -> Iterator[LogLine]:
    """Yield the lines of ``events.csv``. The transaction's number has no place in an event."""
    return read_delimited(log, _COLUMNS, _fields, header=True)


def _fields(cells: Cells) -> dict[str, Any]:
    time, visitor, event, item, _transaction = cells
    return {
        "user_id": visitor,
        "event_type": _TYPES.get(event, f"retailrocket {event}"),
        "event_time_ms": unix_ms(time, 1),
        "item_id": item,
    }
