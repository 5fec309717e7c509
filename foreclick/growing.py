"""Adding partitions to the topics of foreclick, so that users' states can move with their keys."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from foreclick.errors import TopicsError
from foreclick.settings import Settings, confluent_settings
from foreclick.topics import (
    ADMIN_TIMEOUT_S,
    ANSWER_TIMEOUT_S,
    LOG_ALERTS_ONLY,
    LOOK_AGAIN_S,
    await_leaders,
    known_topics,
    require_answer,
)
from streamer.growth import GROWTH_PARTITION, growth_record
from streamer.topic_reading import TopicReader
from streamer.topics import topic_ids

Client = dict[str, str | int | float | bool]
FIRST_LOOK_BACK: Final = 8
LOOK_BACK_FACTOR: Final = 8


def grow_topics(settings: Settings, count: int, answer_timeout_s: float = ANSWER_TIMEOUT_S) -> list[str]:
    """Add partitions, so that all topics but that of replays have ``count``; give the names that grew.

    The offsets at which the old partitions of the events end are acknowledged in the ledger before the events
    topic grows. Producers must not send, nor have a transaction open, until it returns. If it is broken off,
    it may be called again. Raises `TopicsError` when ``count`` is no multiple of the present number, when a
    topic is missing, and when the brokers refuse or cannot be reached; `StreamerError` when they go away.
    """
    client: Client = {
        "bootstrap.servers": settings.kafka,
        "log_level": LOG_ALERTS_ONLY,
        **confluent_settings(settings),
    }
    admin = AdminClient(client)
    require_answer(admin, settings.kafka, answer_timeout_s)
    events = settings.events_topic
    others = (settings.ledger_topic, settings.predictions_topic, settings.dead_letters_topic)
    found = known_topics(admin, {events, *others}, answer_timeout_s)
    missing = sorted({events, *others} - found.keys())
    if missing:
        raise TopicsError(f"there is no topic {missing[0]}; `foreclick topics` creates what is missing")
    counts = {name: len(found[name].partitions) for name in (*others, events)}
    old_count = counts[events]
    if count < old_count or count % old_count:
        raise TopicsError(
            f"{count} is no multiple of the {old_count} partitions of {events}; users' states can only move "
            f"when the topic grows to one: {2 * old_count}, {3 * old_count} and so on"
        )
    short = [name for name in others if counts[name] < count]
    _add(admin, short, counts, count)
    if count == old_count:
        return short
    _record_ends(settings, client, old_count)
    _add(admin, [events], counts, count)
    return [*short, events]


def _add(admin: AdminClient, topics: Sequence[str], counts: dict[str, int], count: int) -> None:
    if not topics:
        return
    asked = admin.create_partitions(
        [NewPartitions(name, count) for name in topics], operation_timeout=ADMIN_TIMEOUT_S
    )
    for name, future in asked.items():
        try:
            future.result()
        except KafkaException as error:
            raise TopicsError(f"cannot add partitions to {name}: {error.args[0].str()}") from error
    _await_partitions(admin, topics, count)
    await_leaders(admin, {TopicPartition(name, p) for name in topics for p in range(counts[name], count)})


def _await_partitions(admin: AdminClient, topics: Sequence[str], count: int) -> None:
    """Return when the broker tells of the new partitions; the client does not know them before it asks."""
    deadline_s = time.monotonic() + ADMIN_TIMEOUT_S
    while True:
        found = admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics
        if all(len(found[name].partitions) >= count for name in topics):
            return
        if time.monotonic() > deadline_s:
            raise TopicsError(f"the brokers tell of no new partitions of {', '.join(topics)}; are all up?")
        time.sleep(LOOK_AGAIN_S)


def _record_ends(settings: Settings, client: Client, old_count: int) -> None:
    security = confluent_settings(settings)
    topic_id = topic_ids(settings.kafka, security, [settings.events_topic])[settings.events_topic]
    reader = TopicReader(settings.kafka, settings.events_topic, security)
    ranges = reader.ranges()
    ends = [_readable_end(reader, number, *ranges[number]) for number in range(old_count)]
    key, value = growth_record(topic_id, ends)
    refused: list[str] = []
    producer = Producer({**client, "enable.idempotence": True})
    producer.produce(
        settings.ledger_topic,
        value,
        key,
        GROWTH_PARTITION,
        on_delivery=lambda error, _: refused.append(error.str()) if error is not None else None,
    )
    if producer.flush(ADMIN_TIMEOUT_S) or refused:
        said = refused[0] if refused else f"no answer for {ADMIN_TIMEOUT_S:g} s"
        raise TopicsError(f"the ledger {settings.ledger_topic} did not take the ends ({said}); nothing grew")


def _readable_end(reader: TopicReader, partition: int, begin: int, end: int) -> int:
    """Return the offset behind the last record that a worker will read; 0 if there is none.

    The offsets behind it hold the ends of transactions, or records of aborted ones.
    """
    look_back, first = FIRST_LOOK_BACK, end
    while first > begin:
        first = max(begin, end - look_back)
        offsets = [message.offset() or 0 for message in reader.read(partition, first, end)]
        if offsets:
            return offsets[-1] + 1
        look_back *= LOOK_BACK_FACTOR
    return 0
