"""The event contract: what a clickstream record must hold, and a reason code for each way to be wrong.

An event travels as JSON in a Kafka record whose key is the event's ``user_id`` in UTF-8.
`decode_event` is the only way in: it returns an `Event` or raises `EventRejected` with one of `REASONS`.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec

EARLIEST_EVENT_TIME_MS: Final = 946_684_800_000  # 2000-01-01T00:00:00Z
LATEST_AFTER_RECORD_MS: Final = 24 * 3_600_000
MAX_IDENTIFIER_LENGTH: Final = 128
MAX_TEXT_LENGTH: Final = 1_024
MAX_PRICE: Final = 1e9
MAX_QUANTITY: Final = 2**31 - 1


class EventType(StrEnum):
    """What a shopper did. The order is part of the model's encoding; append, never reorder."""

    VIEW = "view"
    CART = "cart"
    REMOVE_FROM_CART = "remove_from_cart"
    FAVORITE = "favorite"
    PURCHASE = "purchase"
    SEARCH = "search"


EVENT_TYPES: Final[tuple[EventType, ...]] = tuple(EventType)

Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_IDENTIFIER_LENGTH)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_LENGTH)]
EventTimeMs = Annotated[
    int,
    msgspec.Meta(
        ge=EARLIEST_EVENT_TIME_MS, le=2**48 - 1, description="Unix time, UTC, milliseconds"
    ),
]


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One act of one shopper.

    ``event_id`` names the act: the same act sent twice has the same id. ``item_id`` is needed
    unless ``event_type`` is ``search``. ``event_time_ms`` is Unix time in UTC, in milliseconds,
    not before 2000 and not over 24 h after the record's own timestamp. ``price`` is in the
    shop's currency. Fields that are not named here are ignored.
    """

    event_id: Identifier
    user_id: Identifier
    event_type: EventType
    event_time_ms: EventTimeMs
    item_id: Identifier | None = None
    session_id: Identifier | None = None
    category: Text | None = None
    brand: Text | None = None
    query: Text | None = None
    device: Text | None = None
    source: Text | None = None
    price: Annotated[float, msgspec.Meta(ge=0, le=MAX_PRICE)] | None = None
    quantity: Annotated[int, msgspec.Meta(ge=1, le=MAX_QUANTITY)] | None = None


_IDENTIFIERS: Final = ("event_id", "user_id", "item_id", "session_id")
_REQUIRED: Final = ("event_id", "user_id", "event_type", "event_time_ms")
_TEXTS: Final = ("category", "brand", "query", "device", "source")

REASONS: Final[frozenset[str]] = frozenset(
    [
        "tombstone",
        "empty_value",
        "invalid_utf8",
        "truncated_json",
        "malformed_json",
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
        *(f"{field}_missing" for field in (*_REQUIRED, "item_id")),
        *(f"{field}_not_string" for field in (*_IDENTIFIERS, *_TEXTS)),
        *(f"{field}_empty" for field in _IDENTIFIERS),
        *(f"{field}_too_long" for field in (*_IDENTIFIERS, *_TEXTS)),
    ]
)


class EventRejected(ValueError):  # noqa: N818 - the domain's word, not an error of ours
    """A record that is not an event. ``detail`` never holds a value of the record."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


_decoder: Final = msgspec.json.Decoder(Event)
_encoder: Final = msgspec.json.Encoder()


def encode_event(event: Event) -> bytes:
    """Return the JSON value of the Kafka record that carries ``event``."""
    return _encoder.encode(event)


def decode_event(value: bytes | None, key: bytes | None, record_timestamp_ms: int) -> Event:
    """Return the event in a Kafka record.

    ``record_timestamp_ms`` is the record's own timestamp, in Unix milliseconds.
    Raises `EventRejected` with the reason code when the record is not an event.
    """
    event = decode_value(value, record_timestamp_ms)
    if key is None:
        raise EventRejected("key_missing", "the record's key must be the event's user_id")
    if event.user_id.encode() != key:
        raise EventRejected("key_mismatch", "the record's key is not the event's user_id")
    return event


def decode_value(value: bytes | None, record_timestamp_ms: int) -> Event:
    """Return the event in ``value``, whatever its key. Raises `EventRejected` as `decode_event` does."""
    if value is None:
        raise EventRejected("tombstone", "the record has no value")
    try:
        event = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _diagnose(value, str(error)) from None
    return checked(event, record_timestamp_ms)


def checked(event: Event, record_timestamp_ms: int) -> Event:
    """Return ``event`` if the rules that span fields hold; raises `EventRejected` otherwise."""
    if event.item_id is None and event.event_type is not EventType.SEARCH:
        raise EventRejected("item_id_missing", "only a search may lack an item_id")
    if event.event_time_ms > record_timestamp_ms + LATEST_AFTER_RECORD_MS:
        raise EventRejected("event_time_in_future", "over 24 h after the record's timestamp")
    return event


def event_from_fields(fields: dict[str, Any], record_timestamp_ms: int) -> Event:
    """Return the event that ``fields`` describe, held to the same rules as a decoded record."""
    try:
        event = msgspec.convert(fields, Event)
    except msgspec.ValidationError as error:
        raise _diagnose_fields(fields, str(error)) from None
    return checked(event, record_timestamp_ms)


def _diagnose(value: bytes, message: str) -> EventRejected:
    """Name what is wrong with a value that the typed decoder refused."""
    if not value.strip():
        return EventRejected("empty_value", "the value has no bytes but white space")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return EventRejected("invalid_utf8", "the value is not UTF-8")
    try:
        fields = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError) as error:
        return _diagnose_syntax(text, str(error))
    if not isinstance(fields, dict):
        return EventRejected("not_an_object", "the value is JSON but not an object")
    return _diagnose_fields(fields, message)


def _diagnose_syntax(text: str, message: str) -> EventRejected:
    if "truncated" in message:
        return EventRejected("truncated_json", "the value ends inside its JSON")
    if "out of range" in message or any(word in text for word in ("NaN", "Infinity")):
        return EventRejected("number_not_finite", "a number is not finite or too large")
    return EventRejected("malformed_json", "the value is not JSON")


def _diagnose_fields(fields: dict[str, Any], message: str) -> EventRejected:
    """Return the first thing that is wrong, in the order of the contract's fields."""
    for field in _REQUIRED:
        if fields.get(field) is None:
            return EventRejected(f"{field}_missing", f"{field} is needed")
    for field in (*_IDENTIFIERS, *_TEXTS):
        reason = _text_problem(field, fields.get(field))
        if reason is not None:
            return EventRejected(reason, f"{field} is not a string of an allowed length")
    reason = (
        _type_problem(fields["event_type"])
        or _time_problem(fields["event_time_ms"])
        or _number_problem("price", fields.get("price"), (int, float), 0, MAX_PRICE)
        or _number_problem("quantity", fields.get("quantity"), (int,), 1, MAX_QUANTITY)
    )
    return EventRejected(reason or "malformed_json", "" if reason else message.split(" - ")[0])


def _text_problem(field: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        return f"{field}_not_string"
    if field in _IDENTIFIERS and not value:
        return f"{field}_empty"
    longest = MAX_IDENTIFIER_LENGTH if field in _IDENTIFIERS else MAX_TEXT_LENGTH
    return f"{field}_too_long" if len(value) > longest else None


def _type_problem(value: object) -> str | None:
    if not isinstance(value, str):
        return "event_type_not_string"
    return None if value in set(EVENT_TYPES) else "event_type_unknown"


def _time_problem(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int):
        whole = isinstance(value, float) and math.isfinite(value) and value.is_integer()
        if not whole:
            return "event_time_ms_not_integer"
    if value < EARLIEST_EVENT_TIME_MS:  # type: ignore[operator]
        return "event_time_before_2000"
    return "event_time_in_future" if value > 2**48 - 1 else None  # type: ignore[operator]


def _number_problem(
    field: str, value: object, kinds: tuple[type, ...], least: float, most: float
) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, kinds):
        return f"{field}_not_{'integer' if kinds == (int,) else 'number'}"
    return None if least <= value <= most else f"{field}_out_of_range"  # type: ignore[operator]
