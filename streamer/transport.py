"""Step 1: a Faust transport that hands an agent what a fetch brought, not one record.

Faust registers it for ``foreclick://`` addresses through its ``faust.transports`` entry point. It keeps
Faust's group membership, rebalances, flow control and commits, and changes three things:

- an event's value is a list of `FetchedBatch`, one of each partition that had records;
- a partition starts at the offset that `BatchApp.take_over` names, not at the group's;
- batches end in order per partition, so the offset behind the newest that ended is what is committed.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, Protocol, cast

import aiokafka
from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import Producer, Transport
from faust.types import TP, ConsumerMessage

from streamer.errors import BrokerUnavailable
from streamer.records import FetchedBatch, SourceRecord
from streamer.transport_commits import TaggingConsumer
from streamer.transport_fetching import LeanConsumer, LeanConsumerThread
from streamer.transport_headers import read_any_header_names
from streamer.worker_status import ReadPosition

FETCH_MAX_WAIT_MS: Final = 500
ASK_TIMEOUT_S: Final = 8.0
FRESH_FETCH_MS: Final = 30_000


class BatchApp(Protocol):
    """What the transport asks of the application that runs it."""

    consumer_settings: Mapping[str, Any]
    security_settings: Mapping[str, Any]
    commit_tag: str

    async def take_over(self, generations: Mapping[int, int]) -> Mapping[int, int | None]:
        """Own the partitions, whose batches will carry ``generations``; return where each starts.

        None is the partition's beginning.
        """
        ...

    async def wait_for_room(self) -> None:
        """Return when more may be fetched."""
        ...

    def hand_over(self) -> None:
        """Note that a fetch is on its way to the agent."""
        ...

    def commit_floor(self, partition: int) -> int:
        """Return the offset of ``partition`` below which nothing may be committed any more."""
        ...

    async def give_up(self) -> None:
        """Finish or drop what is in flight: the partitions are about to be another worker's."""
        ...


class BatchConsumerThread(LeanConsumerThread):
    """Fetches record batches. Each seek of a partition begins a new generation of its batches."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._generations: defaultdict[int, int] = defaultdict(int)
        self._reached: defaultdict[int, int] = defaultdict(int)

    def next_generation(self, partition: int) -> int:
        """Return the generation that the next seek of ``partition`` begins."""
        return self._generations[partition] + 1

    async def seek_to(self, starts: Mapping[TP, int | None]) -> None:
        """Read on from ``starts``; None is the partition's beginning."""
        await self.call_thread(self._seek_to, starts)

    async def _seek_to(self, starts: Mapping[TP, int | None]) -> None:
        consumer = self._ensure_consumer()
        places = {TopicPartition(tp.topic, tp.partition): offset for tp, offset in starts.items()}
        for place, offset in places.items():
            self._generations[place.partition] += 1
            self._reached[place.partition] = offset or 0
            if offset is not None:
                consumer.seek(place, offset)
        beginnings = [place for place, offset in places.items() if offset is None]
        if beginnings:
            await consumer.seek_to_beginning(*beginnings)

    async def read_positions(self) -> dict[int, ReadPosition]:
        """Ask the brokers where the owned partitions end. Raises `BrokerUnavailable`."""
        found: dict[int, ReadPosition] = await self.call_thread(self._read_positions)
        return found

    async def _read_positions(self) -> dict[int, ReadPosition]:
        consumer = self._consumer
        if consumer is None:  # it has not started
            return {}
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                places = list(consumer.assignment())
                if not places:
                    await consumer.topics()  # the brokers are asked all the same
                    return {}
                ends = await consumer.end_offsets(places)
                reads = {place: await consumer.position(place) for place in places}
        except (KafkaError, TimeoutError) as error:
            raise BrokerUnavailable(f"the brokers did not answer ({error!r}); are they up?") from error
        return {
            place.partition: ReadPosition(read, _readable_end(consumer, place, ends[place]))
            for place, read in reads.items()
        }

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> dict[TP, list[FetchedBatch]]:
        fetched = await super()._fetch_records(*args, **kwargs)
        # Nothing runs between the fetch's end and here, so no seek can slip in between.
        return {tp: [self._batch(tp.partition, records)] for tp, records in fetched.items() if records}

    def _batch(self, partition: int, records: Sequence[SourceRecord]) -> FetchedBatch:
        batch = FetchedBatch(partition, records, self._generations[partition], self._reached[partition])
        self._reached[partition] = batch.next_offset
        return batch

    def _create_worker_consumer(self, _transport: Transport) -> aiokafka.AIOKafkaConsumer:
        app = cast(BatchApp, self.app)
        self._assignor = RoundRobinPartitionAssignor
        read_any_header_names()
        return TaggingConsumer(
            app.commit_tag,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            isolation_level="read_committed",
            fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
            **app.consumer_settings,
            **app.security_settings,
        )


class BatchConsumer(LeanConsumer):
    """Hands out fetched batches and starts partitions where the application's own offsets stand."""

    _thread: BatchConsumerThread

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def read_positions(self) -> dict[int, ReadPosition]:
        """See `BatchConsumerThread.read_positions`."""
        return await self._thread.read_positions()

    def next_generation(self, partition: int) -> int:
        """See `BatchConsumerThread.next_generation`."""
        return self._thread.next_generation(partition)

    async def read_on_from(self, tp: TP, offset: int | None) -> None:
        """Read ``tp`` on from ``offset``; None is its beginning."""
        await self._thread.seek_to({tp: offset})

    def end_offset(self, tp: TP) -> int | None:
        """Return the end of ``tp`` as its newest fetch told it; None before the first, or when not owned."""
        return self.highwater(tp) if tp in self.assignment() else None

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Yield what one fetch brought, as one message.

        While the flow is stopped, a rebalance is under way. What arrives then waits for its end: some of it
        may have been fetched behind the seeks of the rebalance, and is due; the pipeline ignores the rest.
        """
        await cast(BatchApp, self.app).wait_for_room()
        fetched, _ = await self._wait_next_records(timeout)
        if not fetched:
            return
        if not self.flow_active:
            await self.wait(self.can_resume_flow.wait())
        assigned = self.assignment()
        owned = [tp for tp in fetched if tp in assigned]
        if owned and not self.should_stop:
            # The agent's task has it later; until then nothing says that something is under way.
            cast(BatchApp, self.app).hand_over()
            yield owned[0], self._to_message(owned[0], [batch for tp in owned for batch in fetched[tp]])

    def _to_message(self, tp: TP, fetch: list[FetchedBatch]) -> ConsumerMessage:
        """Return the message of ``fetch``, which Faust finds its agent for by ``tp``, any of the fetch's."""
        newest = fetch[0].records[-1]
        return ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=newest.offset,
            timestamp=newest.timestamp / 1000,
            timestamp_type=0,
            headers=None,
            key=None,
            value=cast(Any, fetch),
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    def finish(self, tp: TP, batch: FetchedBatch) -> None:
        """Note that nothing is left to do of ``batch``: the group may commit the offset behind it."""
        self._acked[tp].append(batch.next_offset - 1)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let batches in flight end before the group moves on."""
        self.stop_flow()
        await cast(BatchApp, self.app).give_up()
        await super().on_partitions_revoked(revoked)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every assigned partition to where the application's own offsets stand."""
        owned = {tp.partition: tp for tp in self.assignment()}
        generations = {number: self._thread.next_generation(number) for number in owned}
        starts = await cast(BatchApp, self.app).take_over(generations)
        await self._thread.seek_to({owned[number]: start for number, start in starts.items()})
        return {owned[number]: start or 0 for number, start in starts.items()}

    def _new_offset(self, tp: TP) -> int | None:
        acked = self._acked[tp]
        if not acked:
            return None
        newest: int = max(acked)
        acked.clear()
        return newest + 1 if newest + 1 >= cast(BatchApp, self.app).commit_floor(tp.partition) else None

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Keep no gaps: they only matter to acks that come out of order."""


def _readable_end(consumer: aiokafka.AIOKafkaConsumer, place: TopicPartition, end: int) -> int:
    """Return where what can be read ends: before a transaction that is open, if the fetches are fresh."""
    fetched_ms, stable = consumer.last_poll_timestamp(place), consumer.last_stable_offset(place)
    fresh = fetched_ms is not None and abs(time.time() * 1000 - fetched_ms) < FRESH_FETCH_MS
    return stable if fresh and stable is not None and stable >= 0 else end


class SecuredProducer(Producer):
    """Faust's own producer, with the security settings of the application's other clients."""

    def _settings_auth(self) -> Mapping[str, Any]:
        return cast(BatchApp, self.app).security_settings


class BatchTransport(Transport):
    """The transport of ``foreclick://`` addresses."""

    Consumer = BatchConsumer
    Producer = SecuredProducer
