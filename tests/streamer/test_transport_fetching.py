"""What a worker leaves out of Faust's consumer, and when it lets aiokafka's ask the brokers."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faust.types import TP

from foreclick.settings import Settings
from streamer.transport import BatchConsumer
from streamer.transport_fetching import Demand
from tests.streamer.events import batch, event, record

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


class Resuming(BatchConsumer):
    """A consumer whose flow is stopped when a fetch of two partitions arrives; one was taken away by then."""

    def __init__(self) -> None:
        self.handed_over = 0
        told = {"wait_for_room": self.at_once, "hand_over": self.count, "consumer_generation_id": 1}
        self.app = cast(Any, SimpleNamespace(**told))
        self.can_resume_flow = asyncio.Event()
        self.flow_active = False
        self.asked_to_resume = False

    async def at_once(self) -> None:
        pass

    def count(self) -> None:
        self.handed_over += 1

    async def _wait_next_records(self, _timeout: float) -> Any:
        return {TP("events", n): [batch([record(7, event("e7"))], partition=n)] for n in (0, 1)}, None

    async def wait(self, *resumed: Any, **_: object) -> Any:
        self.asked_to_resume = True
        resumed[0].close()

    def assignment(self) -> set[TP]:
        return {TP("events", 1)} if self.asked_to_resume else {TP("events", 0), TP("events", 1)}

    @property
    def should_stop(self) -> bool:
        return False


def test_what_arrives_during_a_rebalance_waits_for_its_end() -> None:
    async def scenario() -> list[tuple[TP, Any, int]]:
        consumer = Resuming()
        return [(tp, message.value, consumer.handed_over) async for tp, message in consumer.getmany(1.0)]

    ((tp, fetch, handed_over),) = asyncio.run(scenario())
    assert handed_over == 1
    assert tp == TP("events", 1)
    assert [one.partition for one in fetch] == [1]


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
