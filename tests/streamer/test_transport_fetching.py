"""What a worker leaves out of Faust's consumer."""

from __future__ import annotations

import asyncio

from faust.types import TP

from streamer.transport import BatchConsumer


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
