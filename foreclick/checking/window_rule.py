"""The window rule once more, over plain lists, and what it says must become of every record.

This is written apart from the live path on purpose: it keeps whole events with their full ids, no
packed rows and no fingerprints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from producers.events import Event, EventRejected, decode_event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from foreclick.checking.topics import SourcePosition, TopicRecord

Outcome = Literal["scored", "repeated", "dead"]
_NOTHING: Final[Mapping[SourcePosition, str]] = MappingProxyType({})


@dataclass(frozen=True)
class WindowRule:
    """At most ``window_size`` events; over ``allowed_lateness_ms`` behind the user's newest is too late."""

    window_size: int
    allowed_lateness_ms: int


@dataclass(frozen=True)
class Ruling:
    """What must become of the record at ``position``.

    A ``scored`` record has the user's ``window`` with its own event in it, in order of event time, and the
    event's ``place`` there. A ``dead`` one has the ``reason`` under which it must be a dead letter.
    """

    position: SourcePosition
    outcome: Outcome
    reason: str = ""
    window: tuple[Event, ...] = ()
    place: int = -1


def rule_on(
    records: Iterable[TopicRecord], rule: WindowRule, cleaned: Mapping[SourcePosition, str] = _NOTHING
) -> list[Ruling]:
    """Return one ruling for each record, in their order; those of a partition must be in order of offset.

    A user's window belongs to one partition, as the promise of the live path does. ``cleaned`` is what the
    model's cleaning dropped, and why: the rule takes its word for that, and for nothing else.
    """
    windows: dict[tuple[int, str], list[Event]] = {}
    return [_rule_on_one(record, windows, rule, cleaned.get(record.position)) for record in records]


def _rule_on_one(
    record: TopicRecord,
    windows: dict[tuple[int, str], list[Event]],
    rule: WindowRule,
    cleaned: str | None,
) -> Ruling:
    try:
        event = decode_event(record.value, record.key, record.timestamp_ms)
    except EventRejected as rejection:
        return Ruling(record.position, "dead", rejection.reason)
    window = windows.setdefault((record.position.partition, event.user_id), [])
    if any(held.event_id == event.event_id for held in window):
        return Ruling(record.position, "repeated")
    if window and event.event_time_ms < window[-1].event_time_ms - rule.allowed_lateness_ms:
        return Ruling(record.position, "dead", "too_late")
    if cleaned is not None:
        return Ruling(record.position, "dead", cleaned)
    place = _enter(window, event, rule.window_size)
    return Ruling(record.position, "scored", window=tuple(window), place=place)


def _enter(window: list[Event], event: Event, window_size: int) -> int:
    """Put ``event`` into ``window`` behind equal times, dropping the oldest half of a full one first."""
    if len(window) >= window_size:
        del window[: max(1, window_size // 2)]
    place = sum(held.event_time_ms <= event.event_time_ms for held in window)
    window.insert(place, event)
    return place
