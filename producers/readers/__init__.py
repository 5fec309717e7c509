"""Readers of public shop logs, and of any CSV, JSON lines or Parquet: `read_log` by a name in `FORMATS`."""

from producers.readers.formats import FORMATS, LogFormat, ReadOptions, read_log
from producers.readers.lines import LineCount, LogLine, ReadEvent, RejectedLine
from producers.readers.mapping import Mapping, load_mapping, mapping_of

__all__ = [
    "FORMATS",
    "LineCount",
    "LogFormat",
    "LogLine",
    "Mapping",
    "ReadEvent",
    "ReadOptions",
    "RejectedLine",
    "load_mapping",
    "mapping_of",
    "read_log",
]
