"""The event contract: what a clickstream record must hold, and a reason code for each way to be wrong.

An event travels as JSON in a Kafka record whose key is the event's ``user_id`` in UTF-8.
`decode_event` is the only way in: it returns an `Event` or raises `EventRejected` with one of `REASONS`.

Where a field's name stands twice in an object, the last value counts, as in most JSON parsers;
`duplicate_field` is reported only when one of the earlier values breaks the contract.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from producers.contract import (
    EARLIEST_EVENT_TIME_MS,
    EVENT_TYPES,
    LATEST_AFTER_RECORD_MS,
    LATEST_EVENT_TIME_MS,
    MAX_DEPTH,
    MAX_IDENTIFIER_LENGTH,
    MAX_PRICE,
    MAX_QUANTITY,
    MAX_TEXT_LENGTH,
    REASONS,
    EventRejected,
    EventType,
)
from producers.diagnosis import diagnose, diagnose_fields, lone_surrogate, too_deep

__all__ = [
    "EARLIEST_EVENT_TIME_MS",
    "EVENT_TYPES",
    "LATEST_AFTER_RECORD_MS",
    "MAX_IDENTIFIER_LENGTH",
    "MAX_PRICE",
    "MAX_QUANTITY",
    "MAX_TEXT_LENGTH",
    "REASONS",
    "Event",
    "EventRejected",
    "EventType",
    "checked",
    "decode_event",
    "decode_value",
    "encode_event",
    "event_from_fields",
]

Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_IDENTIFIER_LENGTH)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_LENGTH)]
EventTimeMs = Annotated[
    int,
    msgspec.Meta(
        ge=EARLIEST_EVENT_TIME_MS, le=LATEST_EVENT_TIME_MS, description="Unix time, UTC, milliseconds"
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
    if len(value) > MAX_DEPTH and too_deep(value):
        raise EventRejected("nested_too_deeply", f"objects and arrays nest at most {MAX_DEPTH} deep")
    try:
        event = _decoder.decode(value)
        # The decoder skips ignored fields without a look at their bytes.
        if not value.isascii():
            value.decode()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise diagnose(value, str(error)) from None
    return checked(event, record_timestamp_ms)


def checked(event: Event, record_timestamp_ms: int) -> Event:
    """Return ``event`` if the rules that span fields hold; raises `EventRejected` otherwise."""
    if event.item_id is None and event.event_type is not EventType.SEARCH:
        raise EventRejected("item_id_missing", "only a search may lack an item_id")
    if event.event_time_ms > record_timestamp_ms + LATEST_AFTER_RECORD_MS:
        raise EventRejected("event_time_in_future", "over 24 h after the record's timestamp")
    return event


def event_from_fields(fields: dict[str, Any], record_timestamp_ms: int) -> Event:
    """Return the event that ``fields`` describe, held to the same rules as a decoded record.

    Raises `EventRejected` with the reason code when they do not describe an event.
    """
    try:
        event = msgspec.convert(fields, Event)
        _encoder.encode(event)
    except msgspec.ValidationError as error:
        raise diagnose_fields(fields, str(error)) from None
    except UnicodeEncodeError:
        raise lone_surrogate() from None
    return checked(event, record_timestamp_ms)
