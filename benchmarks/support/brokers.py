"""What a benchmark asks of Kafka: topics of its own, emptied topics, and who owns the partitions."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

ANSWER_TIMEOUT_S = 30.0
READY_TIMEOUT_S = 120.0
LOOK_INTERVAL_S = 0.1


def admin(kafka: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka, "log_level": 1})


def make_topic(kafka: str, name: str, partitions: int) -> None:
    """Make a topic, and wait until all its partitions can be written."""
    client = admin(kafka)
    client.create_topics([NewTopic(name, partitions, 1)], operation_timeout=ANSWER_TIMEOUT_S)[name].result()
    deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
    while time.monotonic() < deadline_s:
        with suppress(KafkaException):
            ends(kafka, name, partitions)
            return
        time.sleep(LOOK_INTERVAL_S)
    raise TimeoutError(f"the topic {name} has no leaders")


def delete_topic(kafka: str, name: str) -> None:
    """Delete a topic and what is in it."""
    client = admin(kafka)  # which must live as long as its futures
    client.delete_topics([name], operation_timeout=ANSWER_TIMEOUT_S)[name].result(ANSWER_TIMEOUT_S)


def ends(kafka: str, name: str, partitions: int) -> list[TopicPartition]:
    """Return each partition with the offset behind its last record. Raises KafkaException."""
    return ends_by(admin(kafka), name, partitions)


def ends_by(client: AdminClient, name: str, partitions: int) -> list[TopicPartition]:
    """Return what `ends` does, for those who ask often."""
    newest = cast(OffsetSpec, OffsetSpec.latest())
    places = [TopicPartition(name, number) for number in range(partitions)]
    asked = client.list_offsets(dict.fromkeys(places, newest))
    return [
        TopicPartition(place.topic, place.partition, end.result(ANSWER_TIMEOUT_S).offset)
        for place, end in asked.items()
    ]


def empty_topic(kafka: str, name: str, partitions: int) -> None:
    """Remove all records of a topic."""
    reached = [place for place in ends(kafka, name, partitions) if place.offset > 0]
    if reached:
        client = admin(kafka)
        for done in client.delete_records(reached).values():
            done.result(ANSWER_TIMEOUT_S)


def wait_for_group(
    kafka: str, group: str, topic: str, partitions: int, members: int, check: Callable[[], None]
) -> None:
    """Return once ``members`` of ``group`` own all ``partitions`` of ``topic`` between them.

    ``check`` is called meanwhile. Raises TimeoutError.
    """
    client = admin(kafka)
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline_s:
        check()
        owned = _owned(client, group, topic)
        if len(owned) == members and sum(owned) == partitions:
            return
        time.sleep(LOOK_INTERVAL_S)
    raise TimeoutError(f"{group} did not get the partitions of {topic} in {READY_TIMEOUT_S:g} s")


def _owned(client: AdminClient, group: str, topic: str) -> list[int]:
    """Return how many partitions of ``topic`` each member of ``group`` owns, without those that own none."""
    try:
        described = client.describe_consumer_groups([group], request_timeout=ANSWER_TIMEOUT_S)[group].result()
    except KafkaException:  # the group's coordinator is not up yet
        return []
    owned = [
        sum(place.topic == topic for place in member.assignment.topic_partitions)
        for member in described.members
        if member.assignment is not None
    ]
    return [count for count in owned if count]
