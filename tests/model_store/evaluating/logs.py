"""Small logs of which a person can say what followed each event."""

from __future__ import annotations

from model_store.sequences import EventTable
from producers.events import Event, EventType

START_MS = 1_700_000_000_000
MINUTE_MS = 60_000


def event(user: str, minute: float, kind: EventType = EventType.VIEW, item: str | None = "cup") -> Event:
    return Event(
        event_id=f"{user}-{minute}",
        user_id=user,
        event_type=kind,
        event_time_ms=START_MS + int(minute * MINUTE_MS),
        item_id=item,
    )


def table(*events: Event) -> EventTable:
    return EventTable.from_events(events)
