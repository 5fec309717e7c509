"""Finding an earlier event that says the same, in a packed window.

The one part of cleaning that goes event by event: what is dropped here is not in the next event's window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from model_store.cleaning.rules import SameContent
from model_store.lookback import LOOKBACK_EVENTS
from model_store.windows import EVENT_ROW, ROW_BYTES, row_time_ms

if TYPE_CHECKING:
    from model_store.cleaning.rules import Duplicate


def _offset(field: str) -> int:
    """Return where a field stands in a packed row."""
    fields = EVENT_ROW.fields
    return int(fields[field][1]) if fields else 0


_ITEM: Final = _offset("item_low")
_TYPE: Final = _offset("event_type")
_ITEM_BYTES: Final = 6
_NO_ITEM: Final = bytes(_ITEM_BYTES)


def twin_bits(window: bytes, place: int, rules: Sequence[tuple[int, Duplicate]]) -> int:
    """Return the numbers, as bits, of the ``rules`` that the event at ``place`` of a packed window meets.

    It is held against the last events before it in the window. A search has no twin: its words are not in
    a row.
    """
    bits = 0
    for earlier in _same_acts(window, place):
        earlier_ms, time_ms = row_time_ms(window, earlier), row_time_ms(window, place)
        for number, rule in rules:
            if _at_one_time(earlier_ms, time_ms, rule):
                bits |= 1 << number
    return bits


def _same_acts(window: bytes, place: int) -> Iterator[int]:
    """Yield the places of the last events before ``place`` with the same item and type, newest first."""
    at = place * ROW_BYTES
    item = window[at + _ITEM : at + _ITEM + _ITEM_BYTES]
    if item == _NO_ITEM:
        return
    least = max(0, place - LOOKBACK_EVENTS) * ROW_BYTES
    found = window.rfind(item, least, at)
    while found >= 0:
        earlier, offset = divmod(found, ROW_BYTES)
        if offset == _ITEM and window[found - _ITEM + _TYPE] == window[at + _TYPE]:
            yield earlier
        found = window.rfind(item, least, found + _ITEM_BYTES - 1)


def _at_one_time(earlier_ms: int, time_ms: int, rule: Duplicate) -> bool:
    if isinstance(rule, SameContent):
        return earlier_ms // rule.resolution_ms == time_ms // rule.resolution_ms
    return abs(time_ms - earlier_ms) <= rule.within_ms
