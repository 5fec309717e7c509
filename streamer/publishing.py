"""Step 6: predictions and dead letters to Kafka, acknowledged by the brokers before anything is written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from streamer.errors import PublishFailed
from streamer.letter_headers import DETAIL_HEADER, REASON_HEADER, SOURCE_HEADER
from streamer.profile import Profile
from streamer.record_batches import record_batches
from streamer.records import DeadLetter, SourcePartition
from streamer.scoring import ScoredBatch

BATCH_BYTES: Final = 512 * 1024


class Publisher(Protocol):
    """Where the results of batches go."""

    async def publish(self, batches: Sequence[ScoredBatch]) -> None:
        """Return once all is acknowledged; raise `PublishFailed` otherwise. Parts may be out by then."""
        ...


_Record = tuple[bytes | None, bytes | None, int, list[tuple[str, bytes]]]
"""Key, value, timestamp and headers."""


class _Filled(NamedTuple):
    """A record batch, and where it goes."""

    producer: AIOKafkaProducer
    topic: str
    partition: int
    records: Any


class KafkaPublisher:
    """Publishes with acks from all in-sync replicas, each record to the partition of its event.

    The caller awaits one batch of a partition before it hands in the next: so no retry reorders them.
    ``compressor`` is the dead letters' own producer. A small compressed batch of events can hold a huge
    record, whose dead letter fits its topic only when it is compressed as well.
    """

    def __init__(
        self,
        producer: AIOKafkaProducer,
        compressor: AIOKafkaProducer,
        predictions_topic: str,
        dead_letters_topic: str,
        profile: Profile,
    ) -> None:
        self._producer = producer
        self._compressor = compressor
        self._predictions_topic = predictions_topic
        self._dead_letters_topic = dead_letters_topic
        self._profile = profile

    @classmethod
    @asynccontextmanager
    async def connected(
        cls,
        bootstrap: str,
        predictions_topic: str,
        dead_letters_topic: str,
        timeout_ms: int,
        security: Mapping[str, Any],
        profile: Profile,
    ) -> AsyncIterator[KafkaPublisher]:
        """Connect, and flush and close at the end. An ack that takes over ``timeout_ms`` is a failure."""
        settings: dict[str, Any] = {
            "bootstrap_servers": bootstrap,
            "acks": "all",
            "enable_idempotence": True,
            "request_timeout_ms": timeout_ms,
            "max_batch_size": BATCH_BYTES,
            **security,
        }
        producer = AIOKafkaProducer(**settings)
        compressor = AIOKafkaProducer(compression_type="zstd", **settings)
        async with producer, compressor:
            yield cls(producer, compressor, predictions_topic, dead_letters_topic, profile)

    async def publish(self, batches: Sequence[ScoredBatch]) -> None:
        """See `Publisher.publish`."""
        with self._profile.measure("publish"):
            filled = [one for batch in batches for one in self._filled(batch)]
        try:
            await asyncio.gather(*[await self._send(one) for one in filled])
        except MessageSizeTooLargeError as error:
            raise PublishFailed(
                "the brokers find a batch too large; raise max.message.bytes of the dead-letter topic"
            ) from error
        except KafkaError as error:
            raise PublishFailed(f"the brokers did not take a batch: {error!r}; are they up?") from error

    def _filled(self, batch: ScoredBatch) -> Iterator[_Filled]:
        """Yield whole record batches of what became of ``batch``.

        Unlike single sends, batches take records that have neither a key nor a value, and of any size.
        """
        partition = batch.source.partition
        if batch.dead_letters:
            letters = (_dead_letter(batch.source, letter) for letter in batch.dead_letters)
            for builder in _builders(self._compressor, letters):
                yield _Filled(self._compressor, self._dead_letters_topic, partition, builder)
        for records in record_batches(batch.predictions, time.time_ns() // 1_000_000, BATCH_BYTES):
            yield _Filled(self._producer, self._predictions_topic, partition, records)

    async def _send(self, filled: _Filled) -> asyncio.Future[Any]:
        """Hand in a record batch, and return the future of its ack."""
        producer, topic, partition, records = filled
        known = producer.client.cluster.partitions_for_topic(topic)
        if known is not None and partition not in known:
            await _learn_of(producer, topic, partition)
        ack: asyncio.Future[Any] = await producer.send_batch(records, topic, partition=partition)
        return ack


async def _learn_of(producer: AIOKafkaProducer, topic: str, partition: int) -> None:
    """Ask the brokers for partitions that were added. Raises `PublishFailed` where this one was not."""
    await producer.client.force_metadata_update()
    if partition not in (producer.client.cluster.partitions_for_topic(topic) or ()):
        raise PublishFailed(
            f"the topic {topic} has no partition {partition}, as the events have; "
            "`foreclick topics --grow` adds partitions to all topics"
        )


def _builders(producer: AIOKafkaProducer, records: Iterable[_Record]) -> list[Any]:
    """Return record batches of ``records``; the first record of a batch always fits."""
    builders: list[Any] = []
    append: Any = _is_full
    for key, value, timestamp, headers in records:
        if append(key=key, value=value, timestamp=timestamp, headers=headers) is None:
            builders.append(producer.create_batch())
            append = builders[-1].append
            append(key=key, value=value, timestamp=timestamp, headers=headers)
    return builders


def _is_full(**_: object) -> None:
    """Take no record, as a full batch does."""


def _dead_letter(source: SourcePartition, letter: DeadLetter) -> _Record:
    record = letter.record
    headers = [
        *record.headers,
        (REASON_HEADER, letter.reason.encode()),
        (DETAIL_HEADER, letter.detail.encode()),
        (SOURCE_HEADER, source.record_id(record.offset).encode()),
    ]
    return record.key, record.value, record.timestamp, headers
