"""Ways to be no event: each makes a record out of a good event and knows the reason code it must get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from producers.contract import MAX_DEPTH
from producers.events import Event, encode_event

Record = tuple[bytes | None, bytes | None]  # key, value


@dataclass(frozen=True, slots=True)
class Malformed:
    """One way to be no event. ``record`` gives (key, value) of the record made from a good event."""

    name: str
    reason: str
    record: Callable[[Event], Record]


def _bytes(change: Callable[[bytes], bytes | None]) -> Callable[[Event], Record]:
    return lambda event: (event.user_id.encode(), change(encode_event(event)))


def _key(change: Callable[[bytes], bytes | None]) -> Callable[[Event], Record]:
    return lambda event: (change(event.user_id.encode()), encode_event(event))


def _field(name: str, value: Any) -> Callable[[Event], Record]:
    """Return a maker that sets one field."""

    def record(event: Event) -> Record:
        fields = msgspec.to_builtins(event)
        fields[name] = value
        return event.user_id.encode(), msgspec.json.encode(fields)

    return record


def _raw(name: str, raw: bytes) -> Callable[[Event], Record]:
    return _bytes(lambda value: value[:-1] + b',"' + name.encode() + b'":' + raw + b"}")


_HUGE: Final = "x" * 100_000
_YEAR_9999_MS: Final = 253_402_300_799_000

MALFORMED: Final = (
    Malformed("tombstone", "tombstone", _bytes(lambda _: None)),
    Malformed("no_bytes", "empty_value", _bytes(lambda _: b"")),
    Malformed("cut_in_half", "truncated_json", _bytes(lambda value: value[: len(value) // 2])),
    Malformed("single_quotes", "malformed_json", _bytes(lambda value: value.replace(b'"', b"'"))),
    Malformed("two_objects", "malformed_json", _bytes(lambda value: value + value)),
    Malformed("bad_utf8", "invalid_utf8", _bytes(lambda value: value[:-2] + b"\xff" + value[-2:])),
    Malformed("byte_order_mark", "byte_order_mark", _bytes(lambda value: b"\xef\xbb\xbf" + value)),
    Malformed("array", "not_an_object", _bytes(lambda value: b"[" + value + b"]")),
    Malformed("depth_bomb", "nested_too_deeply", _bytes(lambda _: b"[" * (100 * MAX_DEPTH))),
    Malformed("half_surrogate", "lone_surrogate", _raw("session_id", b'"\\ud800"')),
    Malformed("name_twice", "duplicate_field", _raw("event_id", b"null")),
    Malformed("nan", "number_not_finite", _raw("price", b"NaN")),
    Malformed("1e999", "number_not_finite", _raw("price", b"1e999")),
    Malformed("no_key", "key_missing", _key(lambda _: None)),
    Malformed("wrong_key", "key_mismatch", _key(lambda key: b"not-" + key)),
    Malformed("no_event_id", "event_id_missing", _field("event_id", None)),
    Malformed("number_as_event_id", "event_id_not_string", _field("event_id", 1)),
    Malformed("empty_event_id", "event_id_empty", _field("event_id", "")),
    Malformed("no_user_id", "user_id_missing", _field("user_id", None)),
    Malformed("oversize_user_id", "user_id_too_long", _field("user_id", _HUGE)),
    Malformed("no_type", "event_type_missing", _field("event_type", None)),
    Malformed("unknown_type", "event_type_unknown", _field("event_type", "hover")),
    Malformed("number_as_type", "event_type_not_string", _field("event_type", 3)),
    Malformed("no_time", "event_time_ms_missing", _field("event_time_ms", None)),
    Malformed("time_as_text", "event_time_ms_not_integer", _field("event_time_ms", "yesterday")),
    Malformed("negative_time", "event_time_before_2000", _field("event_time_ms", -1)),
    Malformed(
        "far_future",
        "event_time_in_future",
        _field("event_time_ms", _YEAR_9999_MS),
    ),
    Malformed("number_as_item", "item_id_not_string", _field("item_id", 7)),
    Malformed("empty_item", "item_id_empty", _field("item_id", "")),
    Malformed("oversize_item", "item_id_too_long", _field("item_id", _HUGE)),
    Malformed("oversize_category", "category_too_long", _field("category", _HUGE)),
    Malformed("object_as_brand", "brand_not_string", _field("brand", {})),
    Malformed("text_as_price", "price_not_number", _field("price", "9.99")),
    Malformed("negative_price", "price_out_of_range", _field("price", -1)),
    Malformed("part_quantity", "quantity_not_integer", _field("quantity", 1.5)),
    Malformed("no_quantity", "quantity_out_of_range", _field("quantity", 0)),
)
