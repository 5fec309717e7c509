"""Step 2: decode a fetched batch into events and dead letters."""

from __future__ import annotations

from typing import cast

from producers.events import EventRejected, decode_event
from streamer.records import DeadLetter, DecodedBatch, FetchedBatch, SourcePartition


def decode_batch(batch: FetchedBatch, source: SourcePartition) -> DecodedBatch:
    """Return the events of ``batch`` in order, and a dead letter for every other record."""
    decoded = DecodedBatch(source, batch.next_offset)
    accept, reject = decoded.events.append, decoded.dead_letters.append
    for record in batch.records:
        key = record.key
        try:
            event = decode_event(record.value, key, record.timestamp)
        except EventRejected as rejected:
            reject(DeadLetter(record, rejected.reason, rejected.detail))
        else:
            accept((cast(bytes, key), record, event))
    return decoded
