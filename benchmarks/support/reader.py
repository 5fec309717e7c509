"""An independent reader: knows of predictions only what stands in the topic."""

from __future__ import annotations

import time
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

FETCH_RECORDS = 10_000
IDLE_LIMIT_S = 60.0
_ID_STARTS = len(b'{"prediction_id":"')


@dataclass(frozen=True)
class Reading:
    """What the reader saw. ``seconds`` runs from the first fetch, of ``first_records``, to the last."""

    records: int
    distinct: int
    first_records: int
    seconds: float

    @property
    def records_per_s(self) -> float:
        """The rate behind the first fetch."""
        return (self.records - self.first_records) / self.seconds


def read_predictions(bootstrap: str, topic: str, wanted: int) -> Reading:
    """Read ``topic`` from its beginning until ``wanted`` distinct predictions are there.

    Raises TimeoutError when none comes for `IDLE_LIMIT_S`.
    """
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "benchmark-reader", "enable.auto.commit": False}
    )
    metadata = AdminClient({"bootstrap.servers": bootstrap}).list_topics(topic, timeout=10)
    consumer.assign([TopicPartition(topic, number, 0) for number in metadata.topics[topic].partitions])
    seen: set[bytes] = set()
    records, first_records, first_s, last_s = 0, 0, 0.0, time.perf_counter()
    try:
        while len(seen) < wanted:
            fetched = consumer.consume(FETCH_RECORDS, timeout=0.2)
            now_s = time.perf_counter()
            if fetched:
                records += len(fetched)
                seen.update(_prediction_id(message.value() or b"") for message in fetched)
                last_s = now_s
                if not first_records:
                    first_records, first_s = len(fetched), now_s
            elif now_s - last_s > IDLE_LIMIT_S:
                raise TimeoutError(f"only {len(seen)} of {wanted} predictions came")
    finally:
        consumer.close()
    return Reading(records, len(seen), first_records, last_s - first_s)


def _prediction_id(value: bytes) -> bytes:
    return value[_ID_STARTS : value.index(b'"', _ID_STARTS)]
