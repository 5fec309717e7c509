"""Event tables of sessions that a test can write down."""

from __future__ import annotations

from model_store.sequences import EventTable
from producers.events import Event, EventType


def sessions(*lines: str) -> EventTable:
    """One shopper a line, all their views a second apart."""
    events, time_ms = [], 1_700_000_000_000
    for user, line in enumerate(lines):
        for item in line.split():
            time_ms += 1_000
            events.append(
                Event(
                    event_id=str(time_ms),
                    user_id=f"user {user}",
                    session_id=f"session {user}",
                    event_type=EventType.VIEW,
                    event_time_ms=time_ms,
                    item_id=item,
                )
            )
    return EventTable.from_events(events)
