"""What tests of a growing topic need: events by key, all predictions, and those of an undisturbed run."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from foreclick.settings import Settings
from foreclick.topics import create_topics
from producers.events import Event
from tests.streamer.events import event
from tests.streamer.worker import PATIENCE_S, keyed, running_worker

USERS = [f"user-{number}" for number in range(16)]
OF_THE_RECORD = {"prediction_id", "scored_at_ms"}


def produce_by_key(settings: Settings, events: Sequence[Event]) -> None:
    """Publish ``events`` in order, each where its key belongs; a producer made now knows all partitions."""
    producer = Producer(
        {
            "bootstrap.servers": settings.kafka,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
        }
    )
    for one in events:
        key, value = keyed(one)
        producer.produce(settings.events_topic, value, key)
    assert producer.flush(PATIENCE_S) == 0


def round_of_events(number: int, each: int = 3) -> list[Event]:
    """``each`` events of every user, later than those of the rounds before."""
    return [
        event(f"e{number}-{user}-{turn}", user, 1_000 * number + turn, f"item-{(len(user) + turn + at) % 7}")
        for turn in range(each)
        for at, user in enumerate(USERS)
    ]


def published(
    settings: Settings, partitions: int, count: int, patience_s: float = PATIENCE_S
) -> list[Message]:
    """Return all predictions, once there are ``count`` different ones."""
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka, "group.id": "test", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(settings.predictions_topic, p, 0) for p in range(partitions)])
    messages: list[Message] = []
    ids: set[str] = set()
    deadline_s = time.monotonic() + patience_s
    try:
        while len(ids) < count:
            assert time.monotonic() < deadline_s, f"only {len(ids)} of {count} predictions came"
            new = consumer.consume(1_000, 0.2)
            messages += new
            ids |= {msgspec.json.decode(one.value() or b"")["prediction_id"] for one in new}
        messages += consumer.consume(1_000, 1.0)  # what came once too often would come now
    finally:
        consumer.close()
    return messages


def first_by_event(messages: Sequence[Message]) -> dict[str, dict[str, Any]]:
    """Return each event's prediction. Fails where one event has two ids."""
    found: dict[str, dict[str, Any]] = {}
    for message in messages:
        value = msgspec.json.decode(message.value() or b"")
        first = found.setdefault(value["event_id"], value)
        assert first["prediction_id"] == value["prediction_id"]
    return found


def told(value: Any) -> Any:
    """Return a prediction without what depends on where and when the event was read, fit for comparison."""
    if isinstance(value, dict):
        return {name: told(part) for name, part in value.items() if name not in OF_THE_RECORD}
    if isinstance(value, list):
        return [told(part) for part in value]
    return pytest.approx(value, abs=1e-4) if isinstance(value, float) else value


def undisturbed(settings: Settings, models: Path, events: Sequence[Event]) -> dict[str, dict[str, Any]]:
    """Return what a worker predicts from topics that had all partitions from the beginning."""
    name = f"{settings.topic_prefix}-undisturbed"
    calm = replace(settings, topic_prefix=name, redis_prefix=name, consumer_group=name, partitions=6)
    create_topics(calm)
    produce_by_key(calm, events)
    with running_worker(calm, models):
        return first_by_event(published(calm, 6, len(events)))


def require_same(found: dict[str, dict[str, Any]], expected: dict[str, dict[str, Any]]) -> None:
    assert found.keys() == expected.keys()
    for event_id, value in expected.items():
        assert found[event_id].keys() == value.keys()
        kept = {name: part for name, part in found[event_id].items() if name not in OF_THE_RECORD}
        assert kept == told(value), event_id


def require_order(messages: Sequence[Message], events: Sequence[Event]) -> None:
    """Each user's predictions were first published in the order of the events, over all partitions."""
    at_ms: dict[str, int] = {}
    for message in messages:
        event_id = msgspec.json.decode(message.value() or b"")["event_id"]
        at_ms[event_id] = min(message.timestamp()[1], at_ms.get(event_id, 2**62))
    times: defaultdict[str, list[int]] = defaultdict(list)
    for one in events:
        times[one.user_id].append(at_ms[one.event_id])
    assert all(each == sorted(each) for each in times.values())
