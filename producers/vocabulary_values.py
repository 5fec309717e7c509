"""Values as other vocabularies write them, turned into the contract's.

What cannot be turned comes back as it is, so that the contract refuses it with its own reason.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Fields = dict[str, Any]


def milliseconds_of_iso(value: Any, received_ms: int) -> Any:
    """Return Unix milliseconds; what is no ISO 8601 time stays as it is, for the contract to refuse."""
    if value is None:
        return received_ms
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000)


def milliseconds_of_micros(value: Any, received_ms: int) -> Any:
    """Return Unix milliseconds from microseconds, also as text; anything else stays as it is."""
    if value is None:
        return received_ms
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    return value // 1_000 if isinstance(value, int) and not isinstance(value, bool) else value


def first_of(fields: Fields, *names: str) -> Any:
    """Return the first of the named fields that is there."""
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def object_or_empty(value: Any) -> Fields:
    """Return ``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def list_or_empty(value: Any) -> list[Any]:
    """Return ``value`` if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def text_of_id(value: Any) -> Any:
    """Return a whole number as text: these vocabularies allow ids of both kinds."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def number_of_text(value: Any) -> Any:
    """Return the number that a text holds, as prices in carts often do; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value
