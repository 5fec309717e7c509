"""What a reader yields for each line of a log, and the count of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from producers.events import Event


class ReadEvent(msgspec.Struct, frozen=True, gc=False):
    """A line that holds an event. ``line_number`` is where it stands in the file, from 1."""

    line_number: int
    event: Event


class RejectedLine(msgspec.Struct, frozen=True, gc=False):
    """A line that holds none. ``reason`` is a code; ``detail`` never holds a value of the line."""

    line_number: int
    reason: str
    detail: str


LogLine = ReadEvent | RejectedLine


class LineCount:
    """How many lines a log has, and why some of them were rejected."""

    def __init__(self) -> None:
        self.lines = 0
        self.rejected: Counter[str] = Counter()

    @property
    def events(self) -> int:
        """Lines that hold an event."""
        return self.lines - self.rejected.total()

    def count(self, lines: Iterable[LogLine]) -> Iterator[LogLine]:
        """Pass ``lines`` on, counting each."""
        for line in lines:
            self.add(line)
            yield line

    def add(self, line: LogLine) -> None:
        """Count one line."""
        self.lines += 1
        if isinstance(line, RejectedLine):
            self.rejected[line.reason] += 1
