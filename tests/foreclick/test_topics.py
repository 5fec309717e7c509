"""Making the topics on a real broker."""

from __future__ import annotations

from dataclasses import replace

import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from foreclick.errors import TopicsError
from foreclick.settings import Settings
from foreclick.topics import create_topics

DAY_MS = 86_400_000


@pytest.fixture
def settings(kafka_address: str, unique_prefix: str) -> Settings:
    return Settings(
        kafka=kafka_address,
        topic_prefix=unique_prefix,
        partitions=5,
        retention_ms=2 * DAY_MS,
        dead_letter_retention_ms=9 * DAY_MS,
        event_max_bytes=10_000,
        dead_letter_max_bytes=50_000,
    )


def configured(
    settings: Settings, topic: str, names: tuple[str, ...] = ("retention.ms", "max.message.bytes")
) -> dict[str, str]:
    admin = AdminClient({"bootstrap.servers": settings.kafka})
    resource = ConfigResource(ResourceType.TOPIC, topic)
    entries = admin.describe_configs([resource])[resource].result()
    return {name: str(entries[name].value) for name in names}


def test_topics_have_the_partitions_retention_and_sizes_of_the_settings(settings: Settings) -> None:
    prefix = settings.topic_prefix
    assert sorted(create_topics(settings)) == [
        f"{prefix}.dead-letters",
        f"{prefix}.events",
        f"{prefix}.ledger",
        f"{prefix}.predictions",
        f"{prefix}.replays",
    ]
    found = AdminClient({"bootstrap.servers": settings.kafka}).list_topics(timeout=10).topics
    assert {
        len(found[f"{prefix}.{end}"].partitions)
        for end in ("events", "predictions", "dead-letters", "ledger")
    } == {5}
    assert len(found[f"{prefix}.replays"].partitions) == 1
    assert configured(settings, f"{prefix}.events") == {
        "retention.ms": "172800000",
        "max.message.bytes": "10000",
    }
    assert configured(settings, f"{prefix}.dead-letters") == {
        "retention.ms": "777600000",
        "max.message.bytes": "50000",
    }
    for end in ("ledger", "replays"):
        assert configured(settings, f"{prefix}.{end}", ("cleanup.policy",)) == {"cleanup.policy": "compact"}


def test_making_them_again_changes_nothing(settings: Settings) -> None:
    create_topics(settings)
    assert create_topics(settings) == []


def test_other_partitions_than_the_settings_say_are_an_error(settings: Settings) -> None:
    create_topics(settings)
    with pytest.raises(TopicsError, match="has 5 partitions, but the setting is 4; set partitions = 5"):
        create_topics(replace(settings, partitions=4))


def test_an_event_too_large_for_its_topic_fits_the_dead_letters(settings: Settings) -> None:
    create_topics(settings)
    failures: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": settings.kafka})
    for topic in (settings.events_topic, settings.dead_letters_topic):
        producer.produce(topic, b"x" * 20_000, on_delivery=lambda error, _: failures.append(error))
        producer.flush(20)
    assert failures[0] is not None
    assert failures[1] is None


def test_a_broker_that_does_not_answer_is_named() -> None:
    with pytest.raises(TopicsError, match=r"Kafka at 127\.0\.0\.1:1 does not answer.*foreclick services up"):
        create_topics(Settings(kafka="127.0.0.1:1"), answer_timeout_s=0.5)
