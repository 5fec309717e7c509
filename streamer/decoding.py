"""Step 2: decode a fetched batch into events and dead letters."""

from __future__ import annotations

from producers.events import EventRejected, decode_event
from streamer.records import DeadLetter, DecodedBatch, FetchedBatch, KeyedEvent, SourcePartition


def decode_batch(batch: FetchedBatch, source: SourcePartition) -> DecodedBatch:
    """Return the events of ``batch`` in order, and a dead letter for every other record."""
    decoded = DecodedBatch(source, batch.next_offset)
    accept, reject = decoded.events.append, decoded.dead_letters.append
    for record in batch.records:
        try:
            event = decode_event(record.value, record.key, record.timestamp)
        except EventRejected as rejected:
            reject(DeadLetter(record, rejected.reason, rejected.detail))
        else:
            accept(KeyedEvent(event.user_id.encode(), record, event))
    return decoded
