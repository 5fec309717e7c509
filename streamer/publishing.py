"""Step 6: predictions and dead letters to Kafka, acknowledged by the brokers before anything is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streamer.errors import PublishFailed
from streamer.profile import Profile
from streamer.records import DeadLetter, SourcePartition
from streamer.scoring import ScoredBatch

BATCH_BYTES: Final = 512 * 1024
LARGEST_DEAD_LETTER_BYTES: Final = 16 * 1024 * 1024
REASON_HEADER: Final = "foreclick.reason"
DETAIL_HEADER: Final = "foreclick.detail"
SOURCE_HEADER: Final = "foreclick.source"


class Publisher(Protocol):
    """Where the results of a batch go."""

    async def publish(self, batch: ScoredBatch) -> None:
        """Return once all is acknowledged; raise `PublishFailed` otherwise. Parts may be out by then."""
        ...


class KafkaPublisher:
    """Publishes with acks from all in-sync replicas, each prediction to the partition of its event.

    The caller awaits one batch of a partition before it hands in the next: so no retry reorders them.
    """

    def __init__(
        self, producer: AIOKafkaProducer, predictions_topic: str, dead_letters_topic: str, profile: Profile
    ) -> None:
        self._producer = producer
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
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            acks="all",
            enable_idempotence=True,
            request_timeout_ms=timeout_ms,
            max_batch_size=BATCH_BYTES,
            max_request_size=LARGEST_DEAD_LETTER_BYTES,
            **security,
        )
        async with producer:
            yield cls(producer, predictions_topic, dead_letters_topic, profile)

    async def publish(self, batch: ScoredBatch) -> None:
        """See `Publisher.publish`."""
        try:
            acks = [await self._send_dead_letter(batch.source, letter) for letter in batch.dead_letters]
            acks += await self._send_predictions(batch.source.partition, batch.predictions)
            await asyncio.gather(*acks)
        except KafkaError as error:
            raise PublishFailed(f"the brokers did not take a batch: {error!r}; are they up?") from error

    async def _send_predictions(
        self, partition: int, predictions: Sequence[tuple[bytes, bytes]]
    ) -> list[asyncio.Future[Any]]:
        """Hand in ``predictions`` as whole record batches, and return the futures of their acks."""
        topic = self._predictions_topic
        with self._profile.measure("publish"):
            builders = list(self._filled(predictions))
        return [await self._producer.send_batch(builder, topic, partition=partition) for builder in builders]

    def _filled(self, predictions: Sequence[tuple[bytes, bytes]]) -> Iterable[Any]:
        builder = None
        for key, value in predictions:
            if builder is None:
                builder = self._producer.create_batch()
            if builder.append(key=key, value=value, timestamp=None) is None:
                yield builder
                builder = self._producer.create_batch()
                builder.append(key=key, value=value, timestamp=None)
        if builder is not None:
            yield builder

    async def _send_dead_letter(self, source: SourcePartition, letter: DeadLetter) -> asyncio.Future[Any]:
        record = letter.record
        headers = [
            *record.headers,
            (REASON_HEADER, letter.reason.encode()),
            (DETAIL_HEADER, letter.detail.encode()),
            (SOURCE_HEADER, source.record_id(record.offset).encode()),
        ]
        sent: asyncio.Future[Any] = await self._producer.send(
            self._dead_letters_topic,
            key=record.key,
            value=record.value,
            partition=source.partition,
            timestamp_ms=record.timestamp,
            headers=headers,
        )
        return sent
