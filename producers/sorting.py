"""Putting a log in order of time without holding it in memory: sorted runs on disk, then their merge."""

from __future__ import annotations

import heapq
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import msgspec

from producers.errors import SortError
from producers.readers import LogLine, ReadEvent, RejectedLine

RUN_EVENTS: Final = 250_000
MOST_RUNS: Final = 64
_READ_BYTES: Final = 262_144
_length: Final = struct.Struct("<I")
_encoder: Final = msgspec.msgpack.Encoder()
_event_decoder: Final = msgspec.msgpack.Decoder(ReadEvent)
_rejected_decoder: Final = msgspec.msgpack.Decoder(RejectedLine)
_Line = TypeVar("_Line", ReadEvent, RejectedLine)


@contextmanager
def sorted_log(
    lines: Iterable[LogLine], directory: Path | None = None, run_events: int = RUN_EVENTS
) -> Iterator[Callable[[], Iterator[LogLine]]]:
    """Sort a log once; the function given reads it as often as need be, until the context ends.

    It yields the rejected lines in the log's order, then all events by time; equal times stay in the log's
    order. At most ``run_events`` events are held in memory. The rest is in a directory of its own in
    ``directory`` (by default the system's for temporary files), with room for two copies of the log, which is
    removed at the end. Raises `SortError` where that has no room.
    """
    with _working_directory(directory) as place:
        runs = _Runs(place)
        held: list[ReadEvent] = []
        with (place / "rejected").open("wb") as rejected:
            for line in lines:
                if isinstance(line, RejectedLine):
                    with _room_in(place):
                        _append(rejected, line)
                    continue
                held.append(line)
                if len(held) == run_events:
                    with _room_in(place):
                        runs.add(sorted(held, key=_time_ms))
                    held.clear()
        held.sort(key=_time_ms)

        def read() -> Iterator[LogLine]:
            yield from _read(place / "rejected", _rejected_decoder)
            yield from heapq.merge(*runs.read(), held, key=_time_ms)

        yield read


def sorted_by_time(
    lines: Iterable[LogLine], directory: Path | None = None, run_events: int = RUN_EVENTS
) -> Iterator[LogLine]:
    """Yield the log once as `sorted_log` orders it."""
    with sorted_log(lines, directory, run_events) as read:
        yield from read()


@contextmanager
def _working_directory(parent: Path | None) -> Iterator[Path]:
    with ExitStack() as held:
        with _room_in(parent or Path(tempfile.gettempdir())):
            place = held.enter_context(tempfile.TemporaryDirectory(prefix="foreclick-sort-", dir=parent))
        yield Path(place)


@contextmanager
def _room_in(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SortError(
            f"cannot sort in {place}: {error.strerror}; make room there, or name another --sort-directory"
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
        """Start to read each run."""
        return [_read(path, _event_decoder) for path in self._paths]

    def _write(self, events: Iterable[ReadEvent]) -> Path:
        self._written += 1
        path = self._directory / f"{self._written}.run"
        with path.open("wb") as run:
            for event in events:
                _append(run, event)
        return path


def _append(run: BinaryIO, line: LogLine) -> None:
    packed = _encoder.encode(line)
    run.write(_length.pack(len(packed)))
    run.write(packed)


def _read(path: Path, decoder: msgspec.msgpack.Decoder[_Line]) -> Iterator[_Line]:
    with path.open("rb", buffering=_READ_BYTES) as run:
        while prefix := run.read(_length.size):
            yield decoder.decode(run.read(_length.unpack(prefix)[0]))


def _time_ms(line: ReadEvent) -> int:
    return line.event.event_time_ms
