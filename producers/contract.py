"""The vocabulary of the event contract: event types, limits, and the reason codes of refused records."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

EARLIEST_EVENT_TIME_MS: Final = 946_684_800_000  # 2000-01-01T00:00:00Z
LATEST_EVENT_TIME_MS: Final = 2**48 - 1  # what a window's row can hold
LATEST_AFTER_RECORD_MS: Final = 24 * 3_600_000
SESSION_GAP_MS: Final = 30 * 60_000  # a longer silence ends a session that has no name
MAX_IDENTIFIER_LENGTH: Final = 128
MAX_TEXT_LENGTH: Final = 1_024
MAX_PRICE: Final = 1e9
MAX_QUANTITY: Final = 2**31 - 1
MAX_DEPTH: Final = 200


class EventType(StrEnum):
    """What a shopper did. The order is part of the model's encoding; append, never reorder."""

    VIEW = "view"
    CART = "cart"
    REMOVE_FROM_CART = "remove_from_cart"
    FAVORITE = "favorite"
    PURCHASE = "purchase"
    SEARCH = "search"


EVENT_TYPES: Final[tuple[EventType, ...]] = tuple(EventType)

IDENTIFIERS: Final = ("event_id", "user_id", "item_id", "session_id")
REQUIRED: Final = ("event_id", "user_id", "event_type", "event_time_ms")
TEXTS: Final = ("category", "brand", "query", "device", "source")

# Given by a model's cleaning, whose rules are in its artifact.
CLEANING_REASONS: Final[frozenset[str]] = frozenset(
    ["same_content", "near_duplicate", "missing_value", "anomaly"]
)

REASONS: Final[frozenset[str]] = frozenset(
    [
        *CLEANING_REASONS,
        "tombstone",
        "empty_value",
        "invalid_utf8",
        "byte_order_mark",
        "truncated_json",
        "malformed_json",
        "nested_too_deeply",
        "lone_surrogate",
        "duplicate_field",
        "number_not_finite",
        "not_an_object",
        "key_missing",
        "key_mismatch",
        "event_type_not_string",
        "event_type_unknown",
        "event_time_ms_not_integer",
        "event_time_before_2000",
        "event_time_in_future",
        "price_not_number",
        "price_out_of_range",
        "quantity_not_integer",
        "quantity_out_of_range",
        "too_late",
        *(f"{field}_missing" for field in (*REQUIRED, "item_id")),
        *(f"{field}_not_string" for field in (*IDENTIFIERS, *TEXTS)),
        *(f"{field}_empty" for field in IDENTIFIERS),
        *(f"{field}_too_long" for field in (*IDENTIFIERS, *TEXTS)),
    ]
)


class EventRejected(ValueError):
    """A record that is not an event. ``detail`` never holds a value of the record."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
