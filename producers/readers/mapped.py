"""Any CSV, JSON lines or Parquet log, read through a `Mapping`.

CSV needs a header. Values are read leniently where no meaning is at stake: numbers serve as identifiers,
and numbers in texts as numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import polars

from producers.errors import LogUnreadable
from producers.events import EVENT_TYPES
from producers.readers.delimited import cells_of, split
from producers.readers.json_rows import identifier, json_object
from producers.readers.lines import LogLine, RejectedLine
from producers.readers.log_file import LogFile
from producers.readers.mapping import EVENT_FIELDS, Mapping
from producers.readers.values import decimal, iso_ms, whole_number

_MS_PER_UNIT: Final = {"s": 1_000.0, "ms": 1.0, "us": 0.001}
_IDENTIFIERS: Final = ("event_id", "user_id", "item_id", "session_id")
_BATCH_ROWS: Final = 20_000


def read_csv(log: LogFile, mapping: Mapping) -> Iterator[LogLine]:
    """Yield the lines of a CSV file. Raises `MappingError` where its header does not fit the mapping."""
    lines = log.lines()
    first = next(lines, None)
    if first is None:
        return
    header = split(first[1].decode(errors="replace"), mapping.delimiter)
    places = {field: header.index(column) for field, column in mapping.sources(header).items()}
    for number, raw in lines:
        cells = cells_of(number, raw, len(header), mapping.delimiter)
        if isinstance(cells, RejectedLine):
            yield cells
        else:
            values = {field: cells[place] for field, place in places.items()}
            yield log.line_of(number, log.event_id(number), _fields(values, mapping))


def read_json_lines(log: LogFile, mapping: Mapping) -> Iterator[LogLine]:
    """Yield the lines of a file with one JSON object a line.

    A field that a line lacks is missing in that line alone, so the mapping is held against no header.
    """
    paths = {field: field.split(".") for field in EVENT_FIELDS if field not in mapping.constants}
    paths |= {field: column.split(".") for field, column in mapping.columns.items()}
    for number, raw in log.lines():
        row = json_object(number, raw)
        if isinstance(row, RejectedLine):
            yield row
        else:
            values = {field: _at(row, path) for field, path in paths.items()}
            yield log.line_of(number, log.event_id(number), _fields(values, mapping))


def read_parquet(log: LogFile, mapping: Mapping) -> Iterator[LogLine]:
    """Yield the rows of a Parquet file, numbered from 1. Raises `LogUnreadable` where it is none."""
    size_bytes = log.path.stat().st_size
    try:
        table = polars.scan_parquet(log.path)
        sources = mapping.sources(table.collect_schema().names())
        rows_total = table.select(polars.len()).collect().item()
        needed = table.select(sorted(set(sources.values())))
        rows_before = 0
        for batch in needed.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True):
            for number, row in enumerate(batch.iter_rows(named=True), start=rows_before + 1):
                values = {field: row[column] for field, column in sources.items()}
                yield log.line_of(number, log.event_id(number), _fields(values, mapping))
            rows_before += batch.height
            log.bytes_read(size_bytes * rows_before // rows_total)
    except (OSError, polars.exceptions.PolarsError) as error:
        raise LogUnreadable(f"{log.path} cannot be read as Parquet: {error}") from error


def _fields(values: dict[str, Any], mapping: Mapping) -> dict[str, Any]:
    """Turn the log's values into the contract's. An absent or empty event_id is left to the reader."""
    fields: dict[str, Any] = {field: None if value == "" else value for field, value in values.items()}
    fields |= mapping.constants
    for field in _IDENTIFIERS:
        if field in fields:
            fields[field] = identifier(fields[field])
    if fields.get("event_id") is None:
        fields.pop("event_id", None)
    fields["event_type"] = _event_type(fields.get("event_type"), mapping)
    fields["event_time_ms"] = _time_ms(fields.get("event_time_ms"), mapping)
    for field, read in (("price", decimal), ("quantity", whole_number)):
        if isinstance(fields.get(field), str):
            fields[field] = read(fields[field])
    return fields


def _event_type(value: object, mapping: Mapping) -> object:
    word = identifier(value)
    if not isinstance(word, str):
        return word
    return mapping.types.get(word, word if word in set(EVENT_TYPES) else f"unknown {word}")


def _time_ms(value: object, mapping: Mapping) -> object:
    """Read a time as the mapping says; what cannot be read stays as it is, for the contract to reject."""
    if isinstance(value, datetime):
        return iso_ms(value.isoformat())
    number = _number(value)
    if number is None or mapping.time_unit == "iso":
        return iso_ms(value) if isinstance(value, str) else value
    if mapping.time_unit != "auto":
        scale = _MS_PER_UNIT[mapping.time_unit]
    elif abs(number) < 1e11:
        scale = 1_000.0
    else:
        scale = 1.0 if abs(number) < 1e14 else 0.001
    return int(number * scale) if abs(number) < 1e18 else number


def _number(value: object) -> int | float | None:
    if isinstance(value, str):
        whole = whole_number(value)
        value = decimal(value) if isinstance(whole, str) else whole
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _at(row: dict[str, Any], path: list[str]) -> object:
    value: Any = row
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
