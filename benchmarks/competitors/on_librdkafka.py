"""librdkafka alone: what a Python program can consume and produce that does nothing between.

`limit` takes events in batches and produces, in batches, records as large as our predictions: the raw limit
of the throughput. `echo` does it event by event, at once, with nothing held back: the least latency.
`on_librdkafka.py KAFKA EVENTS OUT RECORD_BYTES (limit|echo)`.
"""

from __future__ import annotations

import sys
from typing import Any

from confluent_kafka import Consumer, Message, Producer

BATCH_EVENTS = 5_000
FETCH_WAIT_S = 0.01
POLL_S = 0.1
_EVENT_ID = b'"event_id":"'


def limit(consumer: Consumer, producer: Producer, out: str, record_bytes: int) -> None:
    while True:
        messages = consumer.consume(BATCH_EVENTS, FETCH_WAIT_S)
        if messages:
            records = [
                {"key": one.key(), "value": _padded(one, record_bytes), "partition": one.partition()}
                for one in messages
            ]
            while _queue_is_full(producer, out, records):
                producer.poll(POLL_S)
        producer.poll(0)


def echo(consumer: Consumer, producer: Producer, out: str, record_bytes: int) -> None:
    while True:
        message = consumer.poll(POLL_S)
        if message is not None and message.error() is None:
            producer.produce(out, _padded(message, record_bytes), message.key(), message.partition() or 0)
        producer.poll(0)


def _queue_is_full(producer: Producer, out: str, records: list[dict[str, Any]]) -> bool:
    """Queue ``records``; those that found no room stay in the list."""
    queued = producer.produce_batch(out, records)
    if queued < len(records):
        records[:] = [record for record in records if record.pop("_error", None) is not None]
        return True
    return False


def _padded(message: Message, record_bytes: int) -> bytes:
    """Return a record of about ``record_bytes`` that names the event as our predictions do."""
    told = message.value() or b""
    start = told.index(_EVENT_ID) + len(_EVENT_ID)
    event_id = told[start : told.index(b'"', start)]
    head = b'{"prediction_id":"%s","event_id":"%s","padding":"' % (event_id, event_id)
    return head.ljust(record_bytes - 2, b"x") + b'"}'


def main(kafka: str, events_topic: str, out_topic: str, record_bytes: str, how: str) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": out_topic,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": True,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": kafka,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5 if how == "limit" else 0,
            "queue.buffering.max.messages": 500_000,
            "queue.buffering.max.kbytes": 1_000_000,
        }
    )
    consumer.subscribe([events_topic])
    (limit if how == "limit" else echo)(consumer, producer, out_topic, int(record_bytes))


if __name__ == "__main__":
    main(*sys.argv[1:])
