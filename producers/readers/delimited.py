"""Lines of separated columns, as most shop logs have them.

A line of the file is a line of the log: a line break inside quotes is not supported, so that an open
quote spoils one line and not the rest of the file.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from producers.errors import UnexpectedColumns
from producers.readers.lines import LogLine, RejectedLine
from producers.readers.log_file import LogFile

Cells = list[str]
CellsToFields = Callable[[Cells], dict[str, Any]]


def read_delimited(
    log: LogFile, columns: tuple[str, ...], fields_of: CellsToFields, *, header: bool
) -> Iterator[LogLine]:
    """Yield the lines of a log whose columns are known.

    With ``header``, a first line that begins as ``columns`` do is the header and no line of the log;
    `UnexpectedColumns` is raised if it then differs. A part of a log may lack it.
    """
    lines = log.lines()
    if header:
        lines = _after_header(log, lines, columns)
    for number, raw in lines:
        cells = cells_of(number, raw, len(columns), ",")
        if isinstance(cells, RejectedLine):
            yield cells
        else:
            yield log.line_of(number, log.event_id(number), fields_of(cells))


def cells_of(number: int, raw: bytes, width: int, delimiter: str) -> Cells | RejectedLine:
    """Split one line into ``width`` cells."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return RejectedLine(number, "invalid_utf8", "the line is not UTF-8")
    if not text:
        return RejectedLine(number, "empty_value", "the line is empty")
    cells = split(text, delimiter)
    if len(cells) != width:
        return RejectedLine(number, "wrong_column_count", f"{len(cells)} columns, not {width}")
    return cells


def split(text: str, delimiter: str) -> Cells:
    """Split a line at the delimiter, minding quotes; a line that cannot be split is one cell."""
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error:
        return [text]


def _after_header(
    log: LogFile, lines: Iterator[tuple[int, bytes]], columns: tuple[str, ...]
) -> Iterator[tuple[int, bytes]]:
    first = next(lines, None)
    if first is None:
        return lines
    found = split(first[1].decode(errors="replace"), ",")
    if found == list(columns):
        return lines
    if found[0] == columns[0]:
        raise UnexpectedColumns(
            f"{log.path} has the columns {','.join(found)}, not {','.join(columns)}; "
            "read it with --format csv and a mapping"
        )
    return chain([first], lines)
