"""JSON objects made from a fuzzer's bytes: known names with values that are near, or far from, what is meant.

Bytes that are changed at random are seldom JSON. These always are, so that the fuzzer gets behind the parser.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

_NAMES: Final = (
    *("event_id", "user_id", "event_type", "event_time_ms", "item_id", "session_id", "category", "brand"),
    *("query", "device", "source", "price", "quantity", "events", "batch", "name", "params", "items"),
    *(
        "client_id",
        "timestamp_micros",
        "event_timestamp",
        "event",
        "type",
        "properties",
        "products",
        "userId",
    ),
    *("anonymousId", "messageId", "timestamp", "context", "campaign", "product_id", "item_category"),
    *("domain_userid", "derived_tstamp", "collector_tstamp", "id", "terms", "session", "aid", "ts"),
    "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1",
    "contexts_com_snowplowanalytics_snowplow_ecommerce_product_1",
    "unstruct_event_com_snowplowanalytics_snowplow_site_search_1",
)
_VALUES: Final[tuple[Any, ...]] = (
    *("", "u1", "i1", "view", "purchase", "search", "view_item", "Product Viewed", "product_view", "track"),
    *("x" * 128, "x" * 129, "\x00", "\ud7ff", "😀" * 32, "2025-06-15T12:00:00Z", "0001-01-01T00:00:00+23:59"),
    *("9999-12-31T23:59:59-23:59", "1e400", "nan", "-0", "9" * 25, "clicks", "٣"),
    *(0, 1, -1, 1_750_000_000_000, 1_750_000_000, 946_684_799_999, 2**31, 2**48, 2**63, 2**64, -(2**63)),
    *(0.0, -0.5, 9.5, 1e9, 1e300, 5e-324, True, False, None),
)
_DEEPEST: Final = 6
_NESTED: Final = 256 - 32  # of a value's 256 choices, the last 32 nest


def json_from(data: bytes) -> bytes:
    """Return a JSON value that ``data`` decides; the same bytes give the same value."""
    return msgspec.json.encode(_object(iter(data), 0))


def _object(choices: Any, depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(next(choices, 0) % 12):
        made[_NAMES[next(choices, 0) % len(_NAMES)]] = _value(choices, depth + 1)
    return made


def _value(choices: Any, depth: int) -> Any:
    choice = next(choices, 0)
    if choice < _NESTED or depth > _DEEPEST:
        return _VALUES[choice % len(_VALUES)]
    if choice % 2:
        return _object(choices, depth)
    return [_value(choices, depth + 1) for _ in range(next(choices, 0) % 5)]
