"""Publishing to a real Kafka."""

from __future__ import annotations

import time
from collections import defaultdict

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from foreclick.settings import Settings
from producers.errors import PublishError
from producers.events import Event, EventType, decode_event
from producers.publisher import Publisher

HISTORIC_MS = 1_569_888_005_000


def records(settings: Settings) -> list[Message]:
    """Read all that the events topic holds, each partition from its start to its end."""
    reader = Consumer(
        {"bootstrap.servers": settings.kafka, "group.id": "none", "enable.partition.eof": "false"}
    )
    found: list[Message] = []
    try:
        wanted = 0
        places = []
        for partition in range(settings.partitions):
            place = TopicPartition(settings.events_topic, partition, 0)
            wanted += reader.get_watermark_offsets(place, timeout=10)[1]
            places.append(place)
        reader.assign(places)
        while len(found) < wanted:
            message = reader.poll(10)
            assert message is not None, f"{len(found)} of {wanted} records came"
            assert message.error() is None
            found.append(message)
    finally:
        reader.close()
    return found


def event(number: int, user_id: str) -> Event:
    return Event(
        event_id=f"e{number}",
        user_id=user_id,
        event_type=EventType.VIEW,
        item_id="i",
        event_time_ms=HISTORIC_MS,
    )


def test_every_event_arrives_once_under_its_users_key_and_in_order(fresh_topics: Settings) -> None:
    sent = [event(number, f"user {number % 17}") for number in range(3_000)]
    before_ms = time.time_ns() // 1_000_000
    with Publisher(fresh_topics.kafka, fresh_topics.events_topic) as publisher:
        for one in sent:
            publisher.publish(one)
        delivery = publisher.flush()
    assert (publisher.published, delivery.delivered, delivery.failed) == (3_000, 3_000, 0)
    by_user: dict[str, list[Event]] = defaultdict(list)
    partitions = defaultdict(set)
    for record in records(fresh_topics):
        # A historic event is one of the contract's: its record is stamped with the time of sending.
        assert record.timestamp()[1] >= before_ms
        found = decode_event(record.value(), record.key(), record.timestamp()[1])
        by_user[found.user_id].append(found)
        partitions[found.user_id].add(record.partition())
    assert by_user == {f"user {user}": sent[user::17] for user in range(17)}
    assert all(len(places) == 1 for places in partitions.values())
    assert len(set.union(*partitions.values())) == fresh_topics.partitions


def test_a_due_time_becomes_the_records_timestamp_and_raw_bytes_stay_as_they_are(
    fresh_topics: Settings,
) -> None:
    with Publisher(fresh_topics.kafka, fresh_topics.events_topic) as publisher:
        publisher.publish(event(1, "u"), timestamp_ms=1_234_567_890_123)
        publisher.publish_raw(b"\xff", None)
        publisher.publish_raw(None, b"\x00{", headers=[("why", b"a test")])
    found = {record.key(): record for record in records(fresh_topics)}
    assert found[b"u"].timestamp()[1] == 1_234_567_890_123
    assert found[b"\xff"].value() is None
    assert found[None].value() == b"\x00{"
    assert found[None].headers() == [("why", b"a test")]


def test_a_full_queue_holds_the_caller_up_and_loses_nothing(fresh_topics: Settings) -> None:
    small = {"queue.buffering.max.messages": "10", "batch.num.messages": "10"}
    with Publisher(fresh_topics.kafka, fresh_topics.events_topic, client_settings=small) as publisher:
        for number in range(500):
            publisher.publish(event(number, "u"))
        assert publisher.flush().delivered == 500


def test_a_record_that_is_too_large_counts_as_failed(fresh_topics: Settings) -> None:
    with Publisher(fresh_topics.kafka, fresh_topics.events_topic) as publisher:
        publisher.publish_raw(b"u", b"x" * 2_000_000)
        publisher.publish(event(1, "u"))
        delivery = publisher.flush()
    assert (delivery.delivered, delivery.failed) == (1, 1)
    assert "size" in publisher.last_error


def test_what_stands_in_the_way_is_said_at_once(kafka_address: str) -> None:
    with pytest.raises(PublishError, match="`foreclick topics` creates it"):
        Publisher(kafka_address, "no-such-topic")
    with pytest.raises(PublishError, match="is it running there"):
        Publisher("127.0.0.1:1", "events", connect_timeout_s=0.5)
    with pytest.raises(PublishError, match="acks must stay 'all'"):
        Publisher(kafka_address, "events", client_settings={"acks": "1"})
    with pytest.raises(PublishError, match=r"no\.such\.setting"):
        Publisher(kafka_address, "events", client_settings={"no.such.setting": "1"})
