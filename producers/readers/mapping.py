"""Which column of a log feeds which field of an event.

In TOML, all tables and keys optional::

    time_unit = "s"
    delimiter = ";"

    [columns]            # field of an event = the log's column; in JSON lines a.b is b inside a
    user_id = "visitor"
    event_time_ms = "at"

    [constants]          # a field that the log does not have
    event_type = "view"

    [types]              # the log's word = the contract's
    product_view = "view"
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from producers.errors import MappingError
from producers.events import EVENT_TYPES, Event

EVENT_FIELDS: Final = tuple(field.name for field in msgspec.structs.fields(Event))
TimeUnit = Literal["auto", "s", "ms", "us", "iso"]


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the columns of a log become an event.

    A field that neither ``columns`` nor ``constants`` names is read from the column of its own name, if the
    log has one. ``time_unit`` says what the time column holds; ``auto`` reads numbers below 1e11 as seconds,
    below 1e14 as milliseconds, else as microseconds, which cannot be confused for times from 1974 on;
    texts as ISO 8601. ``types`` gives the contract's word for a word of the log; others stay as they are.
    """

    columns: dict[str, str] = {}
    constants: dict[str, str | int | float] = {}
    types: dict[str, str] = {}
    time_unit: TimeUnit = "auto"
    delimiter: str = ","

    def __post_init__(self) -> None:
        for field in (*self.columns, *self.constants):
            if field not in EVENT_FIELDS:
                raise MappingError(
                    f"{field!r} is no field of an event; the fields are {', '.join(EVENT_FIELDS)}"
                )
        for word in self.types.values():
            if word not in set(EVENT_TYPES):
                raise MappingError(f"{word!r} is no event type; the types are {', '.join(EVENT_TYPES)}")
        if len(self.delimiter) != 1:
            raise MappingError(f"the delimiter {self.delimiter!r} must be one character")

    def sources(self, found: Iterable[str]) -> dict[str, str]:
        """Give the column of each field, for a log that has the columns ``found``.

        Raises `MappingError` where a column that is asked for, or one that every event needs, is not there.
        """
        known = set(found)
        for field, column in self.columns.items():
            if column not in known:
                raise MappingError(
                    f"the log has no column {column!r} for {field}; it has {', '.join(sorted(known))}"
                )
        by_name = {field: field for field in EVENT_FIELDS if field in known and field not in self.constants}
        sources = by_name | self.columns
        for field in ("user_id", "event_type", "event_time_ms"):
            if field not in sources and field not in self.constants:
                raise MappingError(
                    f"nothing gives {field}: name its column with --map {field}=COLUMN, "
                    f"or one value for all lines with --constant {field}=VALUE"
                )
        return sources


def load_mapping(path: Path) -> Mapping:
    """Read a mapping from a TOML file. Raises `MappingError` where it cannot be read or is wrong."""
    try:
        return _converted(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise MappingError(f"cannot read the mapping {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(f"the mapping {path} is not TOML: {error}") from error


def mapping_of(
    columns: Iterable[str] = (),
    constants: Iterable[str] = (),
    types: Iterable[str] = (),
    time_unit: str = "auto",
    delimiter: str = ",",
) -> Mapping:
    """Make a mapping from ``NAME=VALUE`` texts, as a command line gives them. Raises `MappingError`."""
    return _converted(
        {
            "columns": _pairs(columns),
            "constants": _pairs(constants),
            "types": _pairs(types),
            "time_unit": time_unit,
            "delimiter": delimiter,
        }
    )


def _converted(document: dict[str, Any]) -> Mapping:
    try:
        return msgspec.convert(document, Mapping)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, MappingError):
            raise error.__cause__ from None
        raise MappingError(f"the mapping is wrong: {error}") from error


def _pairs(texts: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise MappingError(f"{text!r} is not of the form NAME=VALUE")
        pairs[name] = value
    return pairs
