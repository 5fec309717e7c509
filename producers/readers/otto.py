"""OTTO recommender data: one shopper a line with all their events; a "line" of the counts is an event.

Where a line is no JSON, or holds no list of events, how many it held is not known: it counts as one
rejected line. The log calls a shopper's whole history of weeks a session; an event has none here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from producers.readers.json_rows import identifier, json_object
from producers.readers.lines import LogLine, RejectedLine
from producers.readers.log_file import LogFile

_TYPES: Final = {"clicks": "view", "carts": "cart", "orders": "purchase"}


def read_otto(log: LogFile) -> Iterator[LogLine]:
    """Yield each event of each shopper, in the file's order, which is by shopper."""
    for number, raw in log.lines():
        shopper = _shopper(number, raw)
        if isinstance(shopper, RejectedLine):
            yield shopper
            continue
        for place, act in enumerate(shopper["events"]):
            yield _line(log, number, place, shopper.get("session"), act)


def _shopper(number: int, raw: bytes) -> dict[str, Any] | RejectedLine:
    shopper = json_object(number, raw)
    if isinstance(shopper, dict) and not isinstance(shopper.get("events"), list):
        return RejectedLine(number, "not_an_object", "the line is not an object with a list of events")
    return shopper


def _line(log: LogFile, number: int, place: int, session: object, act: object) -> LogLine:
    if not isinstance(act, dict):
        return RejectedLine(number, "not_an_object", "an event of the line is not an object")
    kind = act.get("type")
    fields = {
        "user_id": identifier(session),
        "event_type": _TYPES.get(kind, f"otto {kind}") if isinstance(kind, str) else kind,
        "event_time_ms": act.get("ts"),
        "item_id": identifier(act.get("aid")),
    }
    return log.line_of(number, log.event_id(number, place), fields)
