"""Publishing with librdkafka: idempotent, acknowledged by all in-sync replicas, every report counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from producers.errors import PublishError
from producers.events import Event, encode_event

_NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})
_ROOM_WAIT_S: Final = 0.05
_FLUSH_STEP_S: Final = 0.2  # between two steps, Python sees to signals
_RECORDS_BETWEEN_POLLS: Final = 256
CONNECT_TIMEOUT_S: Final = 20.0

CLIENT_DEFAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "acks": "all",
        "enable.idempotence": "true",
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": "2",
        "batch.num.messages": "10000",
        "batch.size": "262144",
        "queue.buffering.max.messages": "200000",
        "queue.buffering.max.kbytes": "131072",
        "allow.auto.create.topics": "false",
        "log_level": "1",  # what librdkafka would print is in `last_error`
    }
)
_PROMISED: Final = ("acks", "enable.idempotence", "partitioner")


def connect(
    bootstrap: str,
    topic: str,
    client_settings: Mapping[str, str] = _NO_SETTINGS,
    note_error: Callable[[KafkaError], None] = lambda _error: None,
    timeout_s: float = CONNECT_TIMEOUT_S,
) -> Producer:
    """Return a producer whose brokers answer and have the topic.

    ``client_settings`` are librdkafka's own names: security, or tuning over `CLIENT_DEFAULTS`.
    ``note_error`` is told of errors that are of no one record, such as a lost broker. Raises
    `PublishError` where a setting is wrong or breaks the guarantees, no broker answers, or the topic is
    not there.
    """
    for name in _PROMISED:
        if client_settings.get(name, CLIENT_DEFAULTS[name]) != CLIENT_DEFAULTS[name]:
            raise PublishError(f"{name} must stay {CLIENT_DEFAULTS[name]!r}: remove it from the settings")
    try:
        producer = Producer(
            {"bootstrap.servers": bootstrap, "error_cb": note_error, **CLIENT_DEFAULTS, **client_settings}
        )
        found = producer.list_topics(topic, timeout=timeout_s).topics[topic]
    except KafkaException as error:
        raise PublishError(
            f"cannot publish to Kafka at {bootstrap}: {error.args[0]}; is it running there?"
        ) from error
    if found.error is not None:
        raise PublishError(f"the topic {topic} cannot be used: {found.error}; `foreclick topics` creates it")
    return producer


@dataclass(frozen=True)
class Delivery:
    """How many records the brokers acknowledged, and how many were given up, since the publisher was made."""

    delivered: int
    failed: int


class Publisher:
    """Publishes records to one topic, in order for each key.

    A call blocks while librdkafka's queue is full, so memory stays bounded when the brokers are slow. Not
    safe for use from several threads. Nothing is known to be delivered before `flush` has returned.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        *,
        client_settings: Mapping[str, str] = _NO_SETTINGS,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        """Connect, and find the topic; raises `PublishError` as `connect` does."""
        self._topic = topic
        self.published = 0
        self.delivered = 0
        self.failed = 0
        self.last_error = ""
        self._producer = connect(bootstrap, topic, client_settings, self._note, connect_timeout_s)

    def publish(self, event: Event, timestamp_ms: int | None = None) -> None:
        """Send an event under its user's key. ``timestamp_ms`` is the record's; None is now."""
        self.publish_raw(event.user_id.encode(), encode_event(event), timestamp_ms)

    def publish_raw(
        self,
        key: bytes | None,
        value: bytes | None,
        timestamp_ms: int | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Send a record as it is. One that is too large to send counts as failed."""
        self.published += 1
        if self.published % _RECORDS_BETWEEN_POLLS == 0:
            self._producer.poll(0)
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    value,
                    key,
                    on_delivery=self._report,
                    timestamp=timestamp_ms or 0,
                    headers=list(headers),
                )
            except BufferError:
                self._producer.poll(_ROOM_WAIT_S)
            except KafkaException as error:
                self._report(error.args[0], None)
                return
            else:
                return

    def poll(self) -> None:
        """Take in the delivery reports that have come, without waiting."""
        self._producer.poll(0)

    def flush(self, timeout_s: float = 60.0) -> Delivery:
        """Wait until every record is acknowledged or given up, at most ``timeout_s``; give the counts so far.

        What is still under way when the time is up is in neither count.
        """
        deadline_s = time.monotonic() + timeout_s
        while self._producer.flush(_FLUSH_STEP_S) and time.monotonic() < deadline_s:
            pass
        return Delivery(self.delivered, self.failed)

    def close(self) -> None:
        """Send what is still queued, give up what the brokers do not take in a minute, and let go of them."""
        self.flush()
        self._producer.purge()
        self._producer.close()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _note(self, error: KafkaError) -> None:
        self.last_error = str(error)

    def _report(self, error: KafkaError | None, _record: Message | None) -> None:
        if error is None:
            self.delivered += 1
        else:
            self.failed += 1
            self.last_error = str(error)
