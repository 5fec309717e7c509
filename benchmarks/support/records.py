"""How large the records of a topic are."""

from __future__ import annotations

import statistics

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

LOOKED_AT = 5_000
WAIT_S = 10.0


def median_record_bytes(kafka: str, topic: str) -> int:
    """Return the median size of the first records of a topic's first partition, in bytes of their value."""
    consumer = Consumer(
        {"bootstrap.servers": kafka, "group.id": "benchmark-sizes", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    try:
        sizes: list[int] = []
        while len(sizes) < LOOKED_AT and (
            fetched := consumer.consume(LOOKED_AT, WAIT_S if not sizes else 0.5)
        ):
            sizes.extend(len(message.value() or b"") for message in fetched)
    finally:
        consumer.close()
    return int(statistics.median(sizes))
