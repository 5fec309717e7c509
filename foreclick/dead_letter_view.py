"""Dead letters in words, as tables and as JSON."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from streamer.dead_letters import StoredLetter

Row = tuple[StoredLetter, bool, bool]
"""A letter, whether it repeats an earlier one, and whether it was put back."""


@dataclass
class ReasonCounts:
    """What lies in the dead-letter topic for one reason."""

    letters: int = 0
    repeats: int = 0
    put_back: int = 0
    oldest_ms: int | None = None
    newest_ms: int | None = None
    partitions: Counter[int] = field(default_factory=Counter)

    def add(self, letter: StoredLetter, *, repeat: bool, put_back: bool) -> None:
        """Count one letter. A repeat counts as such only."""
        if repeat:
            self.repeats += 1
            return
        self.letters += 1
        self.put_back += put_back
        self.partitions[letter.partition] += 1
        self.oldest_ms = min(letter.timestamp_ms, self.oldest_ms or letter.timestamp_ms)
        self.newest_ms = max(letter.timestamp_ms, self.newest_ms or letter.timestamp_ms)


def counted(rows: Iterable[Row]) -> dict[str, ReasonCounts]:
    """Count letters by reason, the most frequent first."""
    counts: dict[str, ReasonCounts] = {}
    for letter, repeat, put_back in rows:
        counts.setdefault(letter.reason, ReasonCounts()).add(letter, repeat=repeat, put_back=put_back)
    return dict(sorted(counts.items(), key=lambda item: (-item[1].letters, item[0])))


def summary_json(letter: StoredLetter, *, put_back: bool) -> dict[str, Any]:
    """Give what `dlq list` tells of a letter: nothing of its key and value."""
    return {
        "letter": letter.place,
        "time_ms": letter.timestamp_ms,
        "reason": letter.reason,
        "detail": letter.detail,
        "source": letter.source,
        "replays": letter.replays,
        "put_back": put_back,
        "bytes": len(letter.value or b""),
    }


def whole_json(letter: StoredLetter, *, put_back: bool) -> dict[str, Any]:
    """Give all of a letter; bytes as text where they are UTF-8, and always as base64."""
    return {
        **summary_json(letter, put_back=put_back),
        "key": _text(letter.key),
        "value": _text(letter.value),
        "key_base64": _base64(letter.key),
        "value_base64": _base64(letter.value),
        "headers": [[name, _text(value)] for name, value in letter.headers],
    }


def letter_table(rows: Iterable[tuple[StoredLetter, bool]]) -> Table:
    """Return a table with a row for each letter and whether it was put back."""
    table = Table(box=None, pad_edge=False)
    for heading in ("letter", "time", "reason", "detail", "put back"):
        table.add_column(heading, overflow="fold")
    for letter, put_back in rows:
        told = ("yes" if put_back else "") + (f" (replay {letter.replays})" if letter.replays else "")
        table.add_row(
            letter.place, time_text(letter.timestamp_ms), letter.reason, letter.detail, told.strip()
        )
    return table


def reason_table(counts: dict[str, ReasonCounts]) -> Table:
    """Return a table with a row for each reason."""
    table = Table(box=None, pad_edge=False)
    table.add_column("reason")
    for heading in ("letters", "put back", "repeats"):
        table.add_column(heading, justify="right")
    for heading in ("oldest", "newest", "partitions"):
        table.add_column(heading)
    for reason, count in counts.items():
        numbers = (f"{count.letters:,}", f"{count.put_back:,}", f"{count.repeats:,}")
        times = (time_text(count.oldest_ms), time_text(count.newest_ms))
        table.add_row(reason, *numbers, *times, ", ".join(map(str, sorted(count.partitions))))
    return table


def reason_json(counts: dict[str, ReasonCounts]) -> dict[str, Any]:
    """Give the counts by reason."""
    return {
        reason: {
            "letters": count.letters,
            "put_back": count.put_back,
            "repeats": count.repeats,
            "oldest_ms": count.oldest_ms,
            "newest_ms": count.newest_ms,
            "partitions": {str(number): letters for number, letters in sorted(count.partitions.items())},
        }
        for reason, count in counts.items()
    }


def whole_in_words(letter: StoredLetter, *, put_back: bool) -> Iterator[str]:
    """Tell all of a letter, a line for each thing; bytes that are not UTF-8 are shown escaped."""
    yield f"letter    {letter.place}"
    yield f"time      {time_text(letter.timestamp_ms)}"
    yield f"reason    {letter.reason}"
    yield f"detail    {letter.detail}"
    yield f"source    {letter.source}"
    yield f"put back  {'yes' if put_back else 'no'}"
    yield f"key       {_shown(letter.key)}"
    for name, value in letter.headers:
        yield f"header    {name} = {_shown(value)}"
    yield f"value     {_shown(letter.value)}"


def time_text(time_ms: int | None) -> str:
    """Return a Unix time in milliseconds as UTC."""
    if time_ms is None:
        return ""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _text(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _base64(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


def _shown(value: bytes | None) -> str:
    return "none" if value is None else value.decode(errors="backslashreplace")
