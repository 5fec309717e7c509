"""Below the transport: Faust's Kafka consumer, without the tasks and copies that it spends on each message.

Faust's own loop makes six tasks to hand one message on and to ask for the next, and aiokafka copies each
record twice. With batches of one event, that is most of a worker's CPU.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import aiokafka
from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP

FETCH_TIMEOUT_S = 1.0


class LeanConsumerThread(AIOKafkaConsumerThread):
    """Fetches with one hop to the consumer's thread and one back, and hands records out as they were read."""

    async def on_start(self) -> None:
        """Connect."""
        await super().on_start()
        consumer = self._ensure_consumer()
        _keep_records_as_read(consumer)
        self._demand = Demand(consumer._fetcher)

    async def getmany(self, active_partitions: Any, timeout: float) -> Mapping[TP, list[Any]]:
        """Return what has been fetched, at once if there is anything; empty after ``timeout`` seconds."""
        fetch = self._fetch_wanted(active_partitions, timeout)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(fetch, self.thread_loop))

    async def _fetch_wanted(self, active_partitions: Any, timeout: float) -> Mapping[TP, list[Any]]:
        consumer = self._ensure_consumer()
        with self._demand:
            return await self._fetch_records(
                consumer, active_partitions, timeout=timeout, max_records=consumer._max_poll_records
            )


class Demand(AbstractContextManager[None]):
    """Lets aiokafka ask the brokers only while somebody waits for records.

    Its own way is to ask ahead, at once. A broker answers with the first record that comes, and the next ones
    wait until that one is taken: every second fetch of a busy worker would hold a record or two.
    """

    def __init__(self, fetcher: Any) -> None:
        """Take over what ``fetcher`` asks the brokers for."""
        self._fetcher = fetcher
        self._actions: Callable[[Any], tuple[Any, ...]] = fetcher._get_actions_per_node
        self._wanted = False
        fetcher._get_actions_per_node = self._wanted_actions

    def __enter__(self) -> None:
        """Let it ask."""
        self._wanted = True
        if not self._fetcher._records:
            self._fetcher._notify(self._fetcher._wait_consume_future)

    def __exit__(self, *_: object) -> None:
        """Let it ask no more."""
        self._wanted = False

    def _wanted_actions(self, assignment: Any) -> tuple[Any, ...]:
        fetch_requests, *others = self._actions(assignment)
        return fetch_requests if self._wanted else [], *others


class LeanConsumer(Consumer):
    """Hands messages to the agents' streams one by one, in this task.

    Their buffers must have room for all that may be under way: the hand-over is not cut short when the flow
    stops.
    """

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self.should_stop or fetcher.should_stop):
                async for _, message in self.getmany(FETCH_TIMEOUT_S):
                    await self.callback(message)
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.app.should_stop:
                raise

    async def verify_all_partitions_active(self) -> None:
        """Leave this to `streamer.watchdog`.

        Faust's own look ends the worker where it meets a partition whose beginning is just being asked for.
        """


def _keep_records_as_read(consumer: aiokafka.AIOKafkaConsumer) -> None:
    """Make ``consumer`` hand out the records of its C reader, which have all that a `SourceRecord` has."""
    fetcher = consumer._fetcher
    answer: Callable[..., Awaitable[bool]] = fetcher._proc_fetch_request

    async def keep(*request: Any) -> bool:
        found = await answer(*request)
        for fetched in fetcher._records.values():
            records = getattr(fetched, "_partition_records", None)  # an error has none
            if records is not None:
                records._consumer_record = _as_read
        return found

    fetcher._proc_fetch_request = keep


def _as_read(_: TopicPartition, record: Any) -> Any:
    return record
