"""Finding an earlier event that says the same, in a packed window.

The one part of cleaning that goes event by event: what is dropped here is not in the next event's window.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
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


_TIME: Final = _offset("time_low")
_TIME_BYTES: Final = 6
_two_times: Final = struct.Struct(f"<IH{ROW_BYTES - _TIME_BYTES}xIH").unpack_from
_ITEM: Final = _offset("item_low")
_TYPE: Final = _offset("event_type")
_ITEM_BYTES: Final = 6
_NO_ITEM: Final = bytes(_ITEM_BYTES)


def reach_ms(rules: Sequence[Duplicate]) -> int:
    """Return how far apart in time two events can be and still meet one of ``rules``; -1 without any."""
    return max((_reach_ms(rule) for rule in rules), default=-1)


def twin_bits(window: bytes, place: int, rules: Sequence[tuple[int, Duplicate]], reach_ms: int) -> int:
    """Return the numbers, as bits, of the ``rules`` that the event at ``place`` of a packed window meets.

    It is held against the last events before it in the window, none of them over ``reach_ms`` older. A search
    has no twin: its words are not in a row.
    """
    bits = 0
    if place == 0:
        return bits
    low, high, next_low, next_high = _two_times(window, (place - 1) * ROW_BYTES + _TIME)
    if ((next_high - high) << 32) + next_low - low > reach_ms:  # as nearly always
        return bits
    time_ms = row_time_ms(window, place)
    for earlier in range(place - 1, max(place - LOOKBACK_EVENTS, 0) - 1, -1):
        earlier_ms = row_time_ms(window, earlier)
        if time_ms - earlier_ms > reach_ms:
            break
        if _same_act(window, earlier, place):
            for number, rule in rules:
                if _at_one_time(earlier_ms, time_ms, rule):
                    bits |= 1 << number
    return bits


def _same_act(window: bytes, earlier: int, place: int) -> bool:
    one, other = earlier * ROW_BYTES, place * ROW_BYTES
    item = window[one + _ITEM : one + _ITEM + _ITEM_BYTES]
    same_item = item != _NO_ITEM and item == window[other + _ITEM : other + _ITEM + _ITEM_BYTES]
    return same_item and window[one + _TYPE] == window[other + _TYPE]


def _at_one_time(earlier_ms: int, time_ms: int, rule: Duplicate) -> bool:
    if isinstance(rule, SameContent):
        return earlier_ms // rule.resolution_ms == time_ms // rule.resolution_ms
    return time_ms - earlier_ms <= rule.within_ms


def _reach_ms(rule: Duplicate) -> int:
    return rule.resolution_ms - 1 if isinstance(rule, SameContent) else rule.within_ms
