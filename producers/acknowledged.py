"""Publishing from an event loop: each batch is awaited until the brokers have acknowledged it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from confluent_kafka import KafkaError, KafkaException, Message

from producers.errors import BrokersBehind, BrokersUnreachable
from producers.events import Event, encode_event

_POLL_S: Final = 0.1
DEFAULT_MOST_IN_FLIGHT: Final = 20_000


class ProducerLike(Protocol):
    """What is used of `confluent_kafka.Producer`."""

    def produce(
        self,
        topic: str,
        value: bytes | None = ...,
        key: bytes | None = ...,
        *,
        on_delivery: Callable[[KafkaError | None, Message], None] | None = ...,
        timestamp: int = ...,
    ) -> None:
        """Queue a record; ``on_delivery`` is called from `poll`."""

    def poll(self, timeout_s: float, /) -> int:
        """Call what is due."""

    def flush(self, timeout_s: float, /) -> int:
        """Wait for what is queued; give the number of records that are left."""

    def list_topics(self, topic: str, timeout_s: float, /) -> Any:
        """Ask the brokers for the topic."""


class AcknowledgedPublisher:
    """Publishes batches to one topic, with at most ``most_in_flight`` events not yet acknowledged.

    Made inside a running event loop and used from there alone; one thread waits for the delivery
    reports. The producer's own ``message.timeout.ms`` decides when a record is given up.
    """

    def __init__(
        self, producer: ProducerLike, topic: str, most_in_flight: int = DEFAULT_MOST_IN_FLIGHT
    ) -> None:
        self._producer, self._topic = producer, topic
        self.most_in_flight = most_in_flight
        self.in_flight = 0
        self._loop = asyncio.get_running_loop()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._wait_for_reports, name="delivery-reports", daemon=True)
        self._thread.start()

    async def publish(self, events: Sequence[Event], timestamp_ms: int) -> None:
        """Publish ``events`` with the records' timestamp and return when all are acknowledged.

        Raises `BrokersBehind`, with nothing published, when there is no room for the whole batch, and
        `BrokersUnreachable` when at least one event was given up; others of the batch may have arrived.
        """
        if self.in_flight + len(events) > self.most_in_flight:
            raise BrokersBehind(f"{self.in_flight} events wait for the brokers already; try again later")
        if not events:
            return
        batch = _Batch(len(events), self._loop.create_future())
        self.in_flight += len(events)
        for event in events:
            self._produce(event, timestamp_ms, batch)
        await asyncio.shield(batch.settled)
        if batch.error is not None:
            raise BrokersUnreachable(f"the brokers did not acknowledge: {batch.error}; is Kafka well?")

    async def reachable(self, timeout_s: float) -> bool:
        """Say whether a broker answers with the topic within ``timeout_s``."""
        try:
            await asyncio.to_thread(self._producer.list_topics, self._topic, timeout_s)
        except KafkaException:
            return False
        return True

    async def close(self, timeout_s: float) -> None:
        """Wait at most ``timeout_s`` for what is in flight, then stop."""
        await asyncio.to_thread(self._producer.flush, timeout_s)
        self._closing.set()
        await asyncio.to_thread(self._thread.join)

    def _produce(self, event: Event, timestamp_ms: int, batch: _Batch) -> None:
        report = self._reporter(batch)
        try:
            self._producer.produce(
                self._topic,
                encode_event(event),
                event.user_id.encode(),
                on_delivery=report,
                timestamp=timestamp_ms,
            )
        except BufferError as error:
            self._settle(batch, str(error))
        except KafkaException as error:
            self._settle(batch, str(error.args[0]))

    def _reporter(self, batch: _Batch) -> Callable[[KafkaError | None, Message], None]:
        def report(error: KafkaError | None, _record: Message) -> None:
            self._loop.call_soon_threadsafe(self._settle, batch, None if error is None else str(error))

        return report

    def _settle(self, batch: _Batch, error: str | None) -> None:
        self.in_flight -= 1
        batch.waiting -= 1
        batch.error = batch.error or error
        if not batch.waiting and not batch.settled.done():
            batch.settled.set_result(None)

    def _wait_for_reports(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(_POLL_S)


class _Batch:
    def __init__(self, waiting: int, settled: asyncio.Future[None]) -> None:
        self.waiting, self.settled = waiting, settled
        self.error: str | None = None
