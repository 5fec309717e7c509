"""Short ways to make events, records and batches."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.support.record import Record as Record
from producers.events import Event, EventType, encode_event
from streamer.records import FetchedBatch

START_MS = 1_700_000_000_000


def event(event_id: str, user: str = "ann", at_ms: int = 0, item: str = "item-1") -> Event:
    """A view, ``at_ms`` behind `START_MS`."""
    return Event(
        event_id=event_id,
        user_id=user,
        event_type=EventType.VIEW,
        event_time_ms=START_MS + at_ms,
        item_id=item,
        category="hats",
        price=9.5,
    )


def record(offset: int, made: Event) -> Record:
    """The record that carries ``made``."""
    return Record(offset, START_MS, made.user_id.encode(), encode_event(made))


def batch(
    records: Sequence[Record], generation: int = 1, partition: int = 0, fetched_from: int = 0
) -> FetchedBatch:
    """One fetched batch; ``fetched_from`` 0 stands for what follows on whatever came before."""
    return FetchedBatch(partition, records, generation, fetched_from)
