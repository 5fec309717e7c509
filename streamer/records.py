"""What travels along the live path: fetched records, decoded events, dead letters, and their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from producers.events import Event


class SourceRecord(Protocol):
    """One record as a Kafka client hands it over; ``timestamp`` is in Unix milliseconds."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> int:
        """When it was sent, or appended, as the topic is configured."""

    @property
    def key(self) -> bytes | None:
        """Its key's bytes."""

    @property
    def value(self) -> bytes | None:
        """Its value's bytes; None for a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Its headers, in order."""


@dataclass(frozen=True)
class SourcePartition:
    """One partition of the events topic. A topic made anew has a new ``topic_id``."""

    topic_id: str
    partition: int

    @property
    def record_id_prefix(self) -> str:
        """What the ids of the partition's records begin with; the offset follows."""
        return f"{self.topic_id}-{self.partition}-"

    def record_id(self, offset: int) -> str:
        """Return the id of what becomes of the record at ``offset``."""
        return f"{self.record_id_prefix}{offset}"


@dataclass(frozen=True)
class FetchedBatch:
    """Records of one partition, in order of offset, from one fetch.

    ``generation`` counts the seeks of the partition: a batch of an older one is stale. ``fetched_from`` is
    the offset from which the fetch went on: behind the batch before, or where the seek went.
    """

    partition: int
    records: Sequence[SourceRecord]
    generation: int
    fetched_from: int

    @property
    def next_offset(self) -> int:
        """The offset behind the batch's last record."""
        return self.records[-1].offset + 1


@dataclass(frozen=True)
class DeadLetter:
    """A record that got no prediction, and why."""

    record: SourceRecord
    reason: str
    detail: str


KeyedEvent = tuple[bytes, SourceRecord, Event]
"""A record that is an event, behind its key: the event's user_id in UTF-8."""


@dataclass
class DecodedBatch:
    """Step 2 of an event's life: which records are events, and which are dead letters."""

    source: SourcePartition
    next_offset: int
    events: list[KeyedEvent] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    duplicate_events: int = 0
