"""What is wrong with a value that the event decoder refused: the slow path, taken by bad records alone."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

import msgspec

from producers.contract import (
    EARLIEST_EVENT_TIME_MS,
    EVENT_TYPES,
    IDENTIFIERS,
    LATEST_EVENT_TIME_MS,
    MAX_DEPTH,
    MAX_IDENTIFIER_LENGTH,
    MAX_PRICE,
    MAX_QUANTITY,
    MAX_TEXT_LENGTH,
    REQUIRED,
    TEXTS,
    EventRejected,
)

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_STRING_BYTES: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_BARE_CONSTANT: Final = re.compile(r"\b(?:NaN|Infinity)\b")
_CUT_NUMBER: Final = re.compile(r"(?<![\w.+-])(?:-|-?(?:0|[1-9]\d*)(?:\.|(?:\.\d+)?[eE][+-]?))\Z")
_ESCAPE_OR_SURROGATE: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole pair
    r"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\."
)
_WANTED: Final = {
    "event_type_not_string": "event_type must be a string",
    "event_type_unknown": "event_type must be one of " + ", ".join(EVENT_TYPES),
    "event_time_ms_not_integer": "event_time_ms must be an integer of Unix milliseconds",
    "event_time_before_2000": "event_time_ms must be Unix milliseconds from 2000-01-01 on",
    "event_time_in_future": "event_time_ms is no time that Unix milliseconds can hold here",
    "price_not_number": "price must be a number",
    "price_out_of_range": f"price must be from 0 to {MAX_PRICE:.0f}",
    "quantity_not_integer": "quantity must be an integer",
    "quantity_out_of_range": f"quantity must be from 1 to {MAX_QUANTITY}",
    "number_not_finite": "a number is not finite or too large",
}


def too_deep(value: bytes) -> bool:
    """Tell whether objects and arrays nest deeper than `MAX_DEPTH`, without recursion.

    The decoder's own limit is the interpreter's stack, which differs from caller to caller; whether
    a record is an event may not depend on that.
    """
    if value.count(b"[") + value.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _STRING_BYTES.sub(b"", value).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def diagnose(value: bytes, message: str) -> EventRejected:
    """Name what is wrong with a value that the typed decoder refused."""
    if not value.strip():
        return EventRejected("empty_value", "the value has no bytes but white space")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return EventRejected("invalid_utf8", "the value is not UTF-8")
    if text.startswith("\ufeff"):
        return EventRejected("byte_order_mark", "the value must start with its JSON, not with a mark")
    try:
        fields = msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        return _diagnose_syntax(text, str(error))
    if not isinstance(fields, dict):
        return EventRejected("not_an_object", "the value is JSON but not an object")
    names = [name for name, _ in json.loads(text, object_pairs_hook=list, parse_int=str)]
    if len(set(names)) < len(names):
        return EventRejected("duplicate_field", "a field's name stands twice in the object")
    return diagnose_fields(fields, message)


def _diagnose_syntax(text: str, message: str) -> EventRejected:
    if any(match["lone"] for match in _ESCAPE_OR_SURROGATE.finditer(text)):
        return lone_surrogate()
    if "out of range" in message or _BARE_CONSTANT.search(_STRING.sub("", text)):
        return EventRejected("number_not_finite", _WANTED["number_not_finite"])
    if "truncated" in message or ("invalid number" in message and _CUT_NUMBER.search(text)):
        return EventRejected("truncated_json", "the value ends inside its JSON")
    return EventRejected("malformed_json", "the value is not JSON")


def lone_surrogate() -> EventRejected:
    """Return the refusal of a string that UTF-8 cannot hold."""
    return EventRejected("lone_surrogate", "a string holds half of a surrogate pair")


def diagnose_fields(fields: dict[str, Any], message: str) -> EventRejected:
    """Return the first thing that is wrong, in the order of the contract's fields."""
    for field in REQUIRED:
        if fields.get(field) is None:
            return EventRejected(f"{field}_missing", f"{field} is needed")
    for field in (*IDENTIFIERS, *TEXTS):
        reason = _text_problem(field, fields.get(field))
        if reason is not None:
            least, most = (1, MAX_IDENTIFIER_LENGTH) if field in IDENTIFIERS else (0, MAX_TEXT_LENGTH)
            return EventRejected(reason, f"{field} must be a string of {least} to {most} characters")
    reason = (
        _type_problem(fields["event_type"])
        or _time_problem(fields["event_time_ms"])
        or _number_problem("price", fields.get("price"), (int, float), 0, MAX_PRICE)
        or _number_problem("quantity", fields.get("quantity"), (int,), 1, MAX_QUANTITY)
    )
    if reason is None:
        return EventRejected("malformed_json", message.split(" - ")[0])
    return EventRejected(reason, _WANTED[reason])


def _text_problem(field: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        return f"{field}_not_string"
    if field in IDENTIFIERS and not value:
        return f"{field}_empty"
    longest = MAX_IDENTIFIER_LENGTH if field in IDENTIFIERS else MAX_TEXT_LENGTH
    return f"{field}_too_long" if len(value) > longest else None


def _type_problem(value: object) -> str | None:
    if not isinstance(value, str):
        return "event_type_not_string"
    return None if value in set(EVENT_TYPES) else "event_type_unknown"


def _time_problem(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return "event_time_ms_not_integer"
    if value < EARLIEST_EVENT_TIME_MS:
        return "event_time_before_2000"
    return "event_time_in_future" if value > LATEST_EVENT_TIME_MS else None


def _number_problem(
    field: str, value: object, kinds: tuple[type, ...], least: float, most: float
) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, kinds):
        return f"{field}_not_{'integer' if kinds == (int,) else 'number'}"
    if isinstance(value, float) and not math.isfinite(value):
        return "number_not_finite"
    return None if least <= value <= most else f"{field}_out_of_range"  # type: ignore[operator]
