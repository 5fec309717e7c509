"""The logs that can be read, by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from producers.errors import MappingError, UnknownFormat
from producers.readers.alibaba2014 import DEFAULT_YEAR, read_alibaba2014
from producers.readers.lines import LogLine
from producers.readers.log_file import LogFile, ignore_bytes_read, open_log
from producers.readers.mapped import read_csv, read_json_lines, read_parquet
from producers.readers.mapping import Mapping
from producers.readers.otto import read_otto
from producers.readers.rees46 import read_rees46
from producers.readers.retailrocket import read_retailrocket
from producers.readers.sessions import read_sessions
from producers.readers.taobao import read_taobao
from producers.readers.yoochoose import read_yoochoose_buys, read_yoochoose_clicks


@dataclass(frozen=True)
class ReadOptions:
    """What a format may need to be told: the column mapping, and the year of a log that has none."""

    mapping: Mapping | None = None
    year: int = DEFAULT_YEAR


_Read = Callable[[LogFile, ReadOptions], Iterator[LogLine]]


@dataclass(frozen=True)
class LogFormat:
    """A kind of log. ``timed`` is False where its times are made up by the reader and only give the order.

    ``resolution_ms`` is how finely the log itself knows its times, where the reader makes up the rest.
    """

    name: str
    title: str
    read: _Read
    timed: bool = True
    resolution_ms: int = 1


def _plain(read: Callable[[LogFile], Iterator[LogLine]]) -> _Read:
    return lambda log, _options: read(log)


def _mapped(read: Callable[[LogFile, Mapping], Iterator[LogLine]]) -> _Read:
    return lambda log, options: read(log, options.mapping or Mapping())


def _alibaba(log: LogFile, options: ReadOptions) -> Iterator[LogLine]:
    return read_alibaba2014(log, options.year)


_ALL: Final = (
    LogFormat("rees46", "REES46 multi-category shop, monthly CSV", _plain(read_rees46)),
    LogFormat("retailrocket", "RetailRocket events.csv", _plain(read_retailrocket)),
    LogFormat("taobao", "Taobao UserBehavior.csv", _plain(read_taobao)),
    LogFormat("otto", "OTTO sessions, JSON lines", _plain(read_otto)),
    LogFormat("yoochoose-clicks", "YOOCHOOSE clicks", _plain(read_yoochoose_clicks)),
    LogFormat("yoochoose-buys", "YOOCHOOSE buys", _plain(read_yoochoose_buys)),
    LogFormat(
        "alibaba2014", "Alibaba 2014 season 1, days without a year", _alibaba, resolution_ms=86_400_000
    ),
    LogFormat("sessions", "item ids of one session a line", _plain(read_sessions), timed=False),
    LogFormat("csv", "any CSV with a header, by a column mapping", _mapped(read_csv)),
    LogFormat("jsonl", "any JSON lines, by a column mapping", _mapped(read_json_lines)),
    LogFormat("parquet", "any Parquet, by a column mapping", _mapped(read_parquet)),
)
FORMATS: Final[dict[str, LogFormat]] = {log_format.name: log_format for log_format in _ALL}
_MAPPED: Final = ("csv", "jsonl", "parquet")


def read_log(
    path: Path,
    format_name: str,
    mapping: Mapping | None = None,
    *,
    year: int = DEFAULT_YEAR,
    now_ms: int | None = None,
    bytes_read: Callable[[int], None] = ignore_bytes_read,
) -> Iterator[LogLine]:
    """Yield every line of a log, as an event or rejected with a reason, without holding the log in memory.

    ``now_ms`` (Unix milliseconds; by default the clock's) is what times in the future are measured against.
    ``bytes_read`` is called now and then with the bytes of the file that have been read. A log without
    event ids gets some that depend on its content and the line alone. Raises `UnknownFormat`, `MappingError`
    and `LogUnreadable` at once; `LogUnreadable`, `UnexpectedColumns` and `MappingError` also while reading.
    """
    log_format = FORMATS.get(format_name)
    if log_format is None:
        known = "; ".join(f"{known.name} ({known.title})" for known in FORMATS.values())
        raise UnknownFormat(f"{format_name!r} is no format; there are {known}")
    if mapping is not None and format_name not in _MAPPED:
        raise MappingError(f"the columns of {format_name} are known; a mapping is for {', '.join(_MAPPED)}")
    log = open_log(path, time.time_ns() // 1_000_000 if now_ms is None else now_ms, bytes_read)
    return log_format.read(log, ReadOptions(mapping, year))
