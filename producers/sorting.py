"""Putting a log in order of time without holding it in memory: sorted runs on disk, then their merge."""

from __future__ import annotations

import heapq
import struct
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from producers.errors import LogError
from producers.readers import LogLine, ReadEvent

RUN_EVENTS: Final = 250_000
MOST_RUNS: Final = 64
_READ_BYTES: Final = 262_144
_length: Final = struct.Struct("<I")
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(ReadEvent)


def sorted_by_time(
    lines: Iterable[LogLine], directory: Path | None = None, run_events: int = RUN_EVENTS
) -> Iterator[LogLine]:
    """Yield the rejected lines as they come, then all events by time; equal times stay in the log's order.

    At most ``run_events`` events are held in memory. A longer log is written once or a few times to a
    directory of its own in ``directory`` (by default the system's for temporary files), which is removed at
    the end. Raises `LogError` where that has no room.
    """
    with tempfile.TemporaryDirectory(prefix="foreclick-sort-", dir=directory) as place:
        runs = _Runs(Path(place))
        held: list[ReadEvent] = []
        try:
            for line in lines:
                if not isinstance(line, ReadEvent):
                    yield line
                    continue
                held.append(line)
                if len(held) == run_events:
                    runs.add(sorted(held, key=_time_ms))
                    held.clear()
            held.sort(key=_time_ms)
            yield from heapq.merge(*runs.read(), held, key=_time_ms)
        except OSError as error:
            raise LogError(
                f"cannot sort in {place}: {error.strerror}; make room there, or name another directory"
            ) from error


class _Runs:
    """Sorted runs on disk, oldest first, so that a merge of them is stable."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._paths: list[Path] = []
        self._written = 0

    def add(self, events: Iterable[ReadEvent]) -> None:
        """Write one run; many runs are merged into one first, to limit the number of open files."""
        if len(self._paths) == MOST_RUNS:
            merged = self._write(heapq.merge(*self.read(), key=_time_ms))
            for path in self._paths:
                path.unlink()
            self._paths = [merged]
        self._paths.append(self._write(events))

    def read(self) -> list[Iterator[ReadEvent]]:
        return [_read(path) for path in self._paths]

    def _write(self, events: Iterable[ReadEvent]) -> Path:
        self._written += 1
        path = self._directory / f"{self._written}.run"
        with path.open("wb") as run:
            for event in events:
                packed = _encoder.encode(event)
                run.write(_length.pack(len(packed)))
                run.write(packed)
        return path


def _read(path: Path) -> Iterator[ReadEvent]:
    with path.open("rb", buffering=_READ_BYTES) as run:
        while prefix := run.read(_length.size):
            yield _decoder.decode(_record(run, prefix))


def _record(run: BinaryIO, prefix: bytes) -> bytes:
    (size_bytes,) = _length.unpack(prefix)
    return run.read(size_bytes)


def _time_ms(line: ReadEvent) -> int:
    return line.event.event_time_ms
