"""From a log's texts to the contract's values.

What cannot be read is returned as it stands, so that the event contract rejects it with its own reason.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_whole_number: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII).fullmatch


def whole_number(text: str) -> int | str | None:
    """Read an integer; an empty text is None, anything else stays a text."""
    if _whole_number(text):
        return int(text)
    return text or None


def unix_ms(text: str, ms_per_unit: int) -> int | str | None:
    """Read a Unix time in whole units of ``ms_per_unit`` milliseconds."""
    value = whole_number(text)
    return value * ms_per_unit if isinstance(value, int) else value


@lru_cache(maxsize=65_536)
def iso_ms(text: str) -> int | str | None:
    """Read an ISO 8601 time, also with " UTC" at its end; without a zone it is taken as UTC."""
    try:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        return text or None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MILLISECOND


def decimal(text: str) -> float | str | None:
    """Read a decimal number; an empty text is None, anything else stays a text."""
    try:
        return float(text) if text else None
    except ValueError:
        return text
