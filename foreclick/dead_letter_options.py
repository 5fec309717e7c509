"""The options that choose dead letters, the same for every command about them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from foreclick.errors import SettingsError
from streamer.dead_letters import LetterFilter

_AGO: Final = re.compile(r"(\d+)([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_PLACE: Final = re.compile(r"(\d+):(\d+)")

Reasons = Annotated[
    list[str] | None,
    typer.Option("--reason", metavar="CODE", help="Only these reasons; give it again for more."),
]
Numbers = Annotated[
    list[int] | None,
    typer.Option("--partition", min=0, help="Only these partitions; give it again for more."),
]
Since = Annotated[
    str,
    typer.Option(
        metavar="TIME", help="Only records from this time on: 2026-01-31T12:00 (UTC), or 90m, 6h, 2d ago."
    ),
]
Until = Annotated[str, typer.Option(metavar="TIME", help="Only records before this time.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def letter_filter(
    reasons: list[str] | None,
    partitions: list[int] | None,
    since: str,
    until: str,
    now: datetime | None = None,
    places: list[str] | None = None,
) -> LetterFilter:
    """Return the filter that the options describe. Raises `SettingsError` for a text of another kind."""
    now = now or datetime.now(UTC)
    return LetterFilter(
        frozenset(reasons or ()),
        frozenset(partitions or ()),
        time_ms(since, now) if since else None,
        time_ms(until, now) if until else None,
        frozenset(map(parsed_place, places or ())),
    )


def time_ms(text: str, now: datetime) -> int:
    """Return the Unix time in milliseconds that ``text`` names: ISO 8601, UTC unless it says, or "6h" ago."""
    ago = _AGO.fullmatch(text)
    if ago:
        moment = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise SettingsError(
                f"{text!r} is no time: write 2026-01-31T12:00 (UTC), or 90m, 6h, 2d for so long ago"
            ) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def parsed_place(text: str) -> tuple[int, int]:
    """Return the partition and the offset in ``text``. Raises `SettingsError`."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise SettingsError(
            f"{text!r} names no letter: write PARTITION:OFFSET, as `foreclick dlq list` shows it"
        )
    return int(found[1]), int(found[2])
