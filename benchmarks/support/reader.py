"""An independent reader: knows of predictions only what stands in the topic."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

FETCH_RECORDS = 10_000
# `consume` waits until it has all records or this long: so the clock may stop this much too late.
FETCH_WAIT_S = 0.02
IDLE_LIMIT_S = 300.0  # a first run on a machine compiles what later ones find in the cache
_ID_STARTS = len(b'{"prediction_id":"')


class TooFew(Exception):
    """There were not enough predictions to time them."""


@dataclass(frozen=True)
class Reading:
    """What the reader saw. The clock runs from ``counted_from`` distinct predictions on, for ``seconds``.

    The first fetch brought ``first`` of them.
    """

    records: int
    distinct: int
    first: int
    counted_from: int
    seconds: float

    @property
    def counted(self) -> int:
        """How many distinct predictions came while the clock ran."""
        return self.distinct - self.counted_from

    @property
    def behind_first(self) -> int:
        """How many distinct predictions came behind the first fetch."""
        return self.distinct - self.first

    @property
    def records_per_s(self) -> float:
        """The rate of distinct predictions while the clock ran."""
        return self.counted / self.seconds


def nothing() -> None:
    pass


def read_predictions(
    bootstrap: str,
    topic: str,
    wanted: int,
    *,
    uncounted: int = 0,
    at_start: Callable[[], None] = nothing,
    while_idle: Callable[[], None] = nothing,
) -> Reading:
    """Read ``topic`` from its beginning until ``wanted`` distinct predictions are there.

    The clock starts with the first fetch that brings more than ``uncounted`` of them in all, and leaves its
    records out; ``at_start`` is called at the very first one. Raises TimeoutError when none comes for
    `IDLE_LIMIT_S`, and `TooFew`.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "benchmark-reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    metadata = AdminClient({"bootstrap.servers": bootstrap}).list_topics(topic, timeout=10)
    consumer.assign(
        [TopicPartition(topic, number, OFFSET_BEGINNING) for number in metadata.topics[topic].partitions]
    )
    seen: set[bytes] = set()
    first = 0
    records, counted_from, first_s, last_s = 0, 0, 0.0, time.perf_counter()
    try:
        while len(seen) < wanted:
            fetched = consumer.consume(FETCH_RECORDS, timeout=FETCH_WAIT_S)
            now_s = time.perf_counter()
            if fetched:
                records += len(fetched)
                seen.update(prediction_id(message.value() or b"") for message in fetched)
                last_s = now_s
                if not first:
                    first = len(seen)
                    at_start()
                if not first_s and len(seen) > uncounted:
                    counted_from, first_s = len(seen), now_s
            else:
                while_idle()
                if now_s - last_s > IDLE_LIMIT_S:
                    raise TimeoutError(f"only {len(seen)} of {wanted} predictions came")
    finally:
        consumer.close()
    if not first_s or len(seen) == counted_from:
        raise TooFew(f"{wanted} predictions came at once, and nothing is left to time: give more events")
    return Reading(records, len(seen), first, counted_from, last_s - first_s)


def prediction_id(value: bytes) -> bytes:
    """Return the id that a prediction begins with."""
    return value[_ID_STARTS : value.index(b'"', _ID_STARTS)]
