"""One JSON object a line, as a log's reader needs it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from producers.contract import MAX_DEPTH
from producers.diagnosis import diagnose, too_deep
from producers.readers.lines import RejectedLine

_decode: Final = msgspec.json.Decoder().decode


def json_object(number: int, raw: bytes) -> dict[str, Any] | RejectedLine:
    """Read a line as an object; one that is none is rejected for the reason that the contract has for it."""
    if len(raw) > MAX_DEPTH and too_deep(raw):
        return RejectedLine(number, "nested_too_deeply", f"objects and arrays nest at most {MAX_DEPTH} deep")
    try:
        row = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        rejected = diagnose(raw, str(error))
        return RejectedLine(number, rejected.reason, rejected.detail)
    return row if isinstance(row, dict) else RejectedLine(number, "not_an_object", "the line is no object")


def identifier(value: object) -> object:
    """Write a number as the text that an identifier is; anything else stays as it is."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
