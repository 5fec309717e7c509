"""What a worker leaves out of Faust's consumer, and when it lets aiokafka's ask the brokers."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faust.types import TP

from foreclick.settings import Settings
from streamer.transport import BatchConsumer
from streamer.transport_fetching import Demand

ANSWER_MS = 60_000


class Beginning(BatchConsumer):
    """A consumer with a partition whose beginning is being asked for: it has no position yet."""

    def __init__(self) -> None:
        self.looked = 0

    def assignment(self) -> set[TP]:
        return {TP("events", 0)}

    def verify_event_path(self, *_: object) -> None:
        raise AssertionError

    @property
    def should_stop(self) -> bool:
        return False

    async def sleep(self, *_: object) -> None:
        self.looked += 1


def test_a_partition_without_a_position_does_not_end_the_worker() -> None:
    consumer = Beginning()
    asyncio.run(consumer.verify_all_partitions_active())
    assert consumer.looked == 0


def test_what_comes_while_nobody_waits_is_fetched_at_once(fresh_topics: Settings) -> None:
    """aiokafka alone would have fetched the first of them ahead, and would hand out that one only."""
    place = TopicPartition(fresh_topics.events_topic, 0)

    async def scenario() -> list[list[bytes]]:
        consumer = AIOKafkaConsumer(bootstrap_servers=fresh_topics.kafka, auto_offset_reset="earliest")
        producer = AIOKafkaProducer(bootstrap_servers=fresh_topics.kafka)
        fetched = []
        async with consumer, producer:
            demand = Demand(consumer._fetcher)
            consumer.assign([place])
            for values in ([b"first"], [b"second", b"third", b"fourth"], [b"fifth"]):
                for value in values:
                    await producer.send_and_wait(place.topic, value, partition=place.partition)
                with demand:
                    (records,) = (await consumer.getmany(timeout_ms=ANSWER_MS)).values()
                fetched.append([record.value for record in records])
        return fetched

    assert asyncio.run(scenario()) == [[b"first"], [b"second", b"third", b"fourth"], [b"fifth"]]
