"""Reading a topic whole, with a plain consumer that belongs to no group."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, cast

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
    Uuid,
)
from confluent_kafka.admin import AdminClient

from foreclick.errors import CheckError

QUIET: Final[Mapping[str, str]] = MappingProxyType({"log_level": "4"})  # librdkafka: warnings and worse
_REQUEST_TIMEOUT_S: Final = 15.0
_MESSAGES_PER_POLL: Final = 5_000


class SourcePosition(NamedTuple):
    """Where a record stands. A topic that is made anew has a new ``topic_id``."""

    topic_id: str
    partition: int
    offset: int

    @property
    def text(self) -> str:
        """The position as ``topic_id-partition-offset``, which is also its prediction's id."""
        return f"{self.topic_id}-{self.partition}-{self.offset}"

    @classmethod
    def parse(cls, text: str) -> SourcePosition:
        """Return the position written as ``topic_id-partition-offset``; raises ValueError on other text."""
        topic_id, partition, offset = text.rsplit("-", 2)
        return cls(topic_id, int(partition), int(offset))


class TopicRecord(NamedTuple):
    """One record as the brokers hold it. ``timestamp_ms`` is the record's own, in Unix milliseconds."""

    position: SourcePosition
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    def header(self, name: str) -> str | None:
        """Return the last header called ``name`` as text, or None where there is none."""
        values = [value for key, value in self.headers if key == name and value is not None]
        return values[-1].decode(errors="replace") if values else None


@dataclass(frozen=True)
class TopicContents:
    """All records of a topic. Those of one partition are in order of offset."""

    topic: str
    topic_id: str
    records: tuple[TopicRecord, ...]


def uuid_text(uuid: Uuid) -> str:
    """Return a topic's id as Kafka's own tools print it: in the URL-safe base64, unlike librdkafka."""
    return str(uuid).translate(str.maketrans("+/", "-_"))


def read_topic(
    kafka: str,
    topic: str,
    *,
    read_committed: bool = True,
    client_settings: Mapping[str, str] | None = None,
    patience_s: float = 60.0,
) -> TopicContents:
    """Return every record of ``topic`` up to the end that it has while this reads.

    With ``read_committed`` the records of aborted transactions are left out; else all are read.
    Raises `CheckError` when the topic does not exist or its end is not reached within ``patience_s``.
    """
    settings = {**(client_settings or {}), **QUIET, "bootstrap.servers": kafka}
    topic_id, partitions = _describe(settings, topic)
    consumer = Consumer(
        {
            **settings,
            "group.id": f"foreclick-check-{topic}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed" if read_committed else "read_uncommitted",
        }
    )
    try:
        consumer.assign([TopicPartition(topic, index, OFFSET_BEGINNING) for index in range(partitions)])
        records = _read_to_the_ends(consumer, topic_id, partitions, patience_s)
    finally:
        consumer.close()
    return TopicContents(topic, topic_id, tuple(records))


def _describe(settings: Mapping[str, str], topic: str) -> tuple[str, int]:
    admin = AdminClient(dict(settings))
    pending = admin.describe_topics(TopicCollection([topic]), request_timeout=_REQUEST_TIMEOUT_S)
    try:
        description = pending[topic].result()
    except KafkaException as error:
        raise CheckError(f"topic {topic} cannot be described ({error}); name a topic that exists") from error
    return uuid_text(description.topic_id), len(description.partitions)


def _read_to_the_ends(
    consumer: Consumer, topic_id: str, partitions: int, patience_s: float
) -> list[TopicRecord]:
    records: list[TopicRecord] = []
    unread = set(range(partitions))
    deadline_s = time.monotonic() + patience_s
    while unread:
        if time.monotonic() > deadline_s:
            raise CheckError(f"the ends of partitions {sorted(unread)} were not reached in {patience_s:g} s")
        for message in consumer.consume(_MESSAGES_PER_POLL, timeout=0.2):
            error = message.error()
            if error is None:
                records.append(_record_of(message, topic_id))
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard(message.partition() or 0)
            elif not error.retriable():
                raise CheckError(f"a partition cannot be read: {error}")
    return records


def _record_of(message: Message, topic_id: str) -> TopicRecord:
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    return TopicRecord(
        SourcePosition(topic_id, message.partition() or 0, message.offset() or 0),
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple(headers),
    )
