"""A log file on disk: its lines, plain or gzipped, its fingerprint, and how far it has been read."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from producers.errors import LogUnreadable
from producers.events import EventRejected, event_from_fields
from producers.readers.lines import LogLine, ReadEvent, RejectedLine

_GZIP_MAGIC: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_FINGERPRINTED_BYTES: Final = 65_536
_LINES_BETWEEN_REPORTS: Final = 5_000


def ignore_bytes_read(_bytes_read: int) -> None:
    """Report nothing: the default of whoever does not show progress."""


@dataclass(frozen=True)
class LogFile:
    """A log to read. ``fingerprint`` names its content; event ids of logs without ids begin with it.

    ``now_ms`` is what "over 24 h in the future" is measured against, in Unix milliseconds.
    ``bytes_read`` is called now and then with the bytes of the file on disk that have been read.
    """

    path: Path
    fingerprint: str
    now_ms: int
    bytes_read: Callable[[int], None] = ignore_bytes_read

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield each line without its end, numbered from 1; a last line without an end is a line too.

        Raises `LogUnreadable` where the file cannot be read, or a gzipped one ends too early.
        """
        number = 0
        try:
            with _opened(self.path) as (raw, content):
                for number, line in enumerate(content, start=1):
                    if number % _LINES_BETWEEN_REPORTS == 0:
                        self.bytes_read(raw.tell())
                    if number == 1:
                        line = line.removeprefix(_BYTE_ORDER_MARK)
                    yield number, line.rstrip(b"\r\n")
                self.bytes_read(raw.tell())
        except (OSError, EOFError, zlib.error) as error:
            raise LogUnreadable(
                f"{self.path} cannot be read after line {number}: {error}; fetch or compress it again"
            ) from error

    def line_of(self, line_number: int, event_id: str, fields: dict[str, Any]) -> LogLine:
        """Hold ``fields`` to the event contract; ``event_id`` is used where they bring none."""
        fields.setdefault("event_id", event_id)
        try:
            return ReadEvent(line_number, event_from_fields(fields, self.now_ms))
        except EventRejected as rejected:
            return RejectedLine(line_number, rejected.reason, rejected.detail)

    def event_id(self, line_number: int, place: int | None = None) -> str:
        """Name the event of a line, or the one at ``place`` (from 0) in a line that holds several."""
        end = "" if place is None else f".{place}"
        return f"{self.fingerprint}-{line_number}{end}"


def open_log(path: Path, now_ms: int, bytes_read: Callable[[int], None] = ignore_bytes_read) -> LogFile:
    """Take the fingerprint of a log. Raises `LogUnreadable` if it is no file that can be read."""
    try:
        fingerprint = _fingerprint(path)
    except OSError as error:
        raise LogUnreadable(f"cannot read the log {path}: {error.strerror}; check the path") from error
    return LogFile(path, fingerprint, now_ms, bytes_read)


def _fingerprint(path: Path) -> str:
    """Hash the size and the first and last 64 KiB, so that a log of any size is named at once."""
    size_bytes = path.stat().st_size
    digest = hashlib.blake2b(str(size_bytes).encode(), digest_size=8)
    with path.open("rb") as content:
        digest.update(content.read(_FINGERPRINTED_BYTES))
        content.seek(max(0, size_bytes - _FINGERPRINTED_BYTES))
        digest.update(content.read(_FINGERPRINTED_BYTES))
    return digest.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Give the file on disk, whose place shows the progress, and its content, unpacked if need be."""
    with path.open("rb") as raw:
        packed = raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        raw.seek(0)
        if not packed:
            yield raw, raw
            return
        with gzip.open(raw) as content:
            yield raw, cast("BinaryIO", content)
