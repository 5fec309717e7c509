"""Short ways to make events, records and batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from producers.events import Event, EventType, encode_event
from streamer.records import FetchedBatch

START_MS = 1_700_000_000_000


@dataclass(frozen=True)
class Record:
    """A record as a Kafka client hands it over."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


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


def batch(records: Sequence[Record], generation: int = 1, partition: int = 0) -> FetchedBatch:
    """One fetched batch."""
    return FetchedBatch(partition, records, generation)
