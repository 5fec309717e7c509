"""The topics of foreclick: their sizes and retention, and making those that are missing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, cast

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec, TopicMetadata

from foreclick.errors import TopicsError
from foreclick.settings import Settings, confluent_settings

ADMIN_TIMEOUT_S: Final = 30.0
ANSWER_TIMEOUT_S: Final = 10.0
LOOK_AGAIN_S: Final = 0.02
LATEST: Final = cast(OffsetSpec, OffsetSpec.latest())
# What librdkafka would print about a broker that is down is in our own error.
LOG_ALERTS_ONLY: Final = 1


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it should be. One without ``retention_ms`` keeps the newest record of each key for ever."""

    name: str
    partitions: int
    max_message_bytes: int
    retention_ms: int | None = None

    @property
    def config(self) -> dict[str, str]:
        """The topic's own settings, under the brokers' names."""
        kept = (
            {"cleanup.policy": "compact"}
            if self.retention_ms is None
            else {"retention.ms": str(self.retention_ms)}
        )
        return {**kept, "max.message.bytes": str(self.max_message_bytes)}


def topics(settings: Settings) -> tuple[Topic, ...]:
    """Give the topics that the settings describe."""
    count, largest, kept_ms = settings.partitions, settings.event_max_bytes, settings.retention_ms
    letters_ms, largest_letter = settings.dead_letter_retention_ms, settings.dead_letter_max_bytes
    return (
        Topic(settings.events_topic, count, largest, kept_ms),
        Topic(settings.predictions_topic, count, largest, kept_ms),
        Topic(settings.dead_letters_topic, count, largest_letter, letters_ms),
        Topic(settings.ledger_topic, count, largest),
        Topic(settings.replays_topic, 1, largest),
    )


def create_topics(settings: Settings, answer_timeout_s: float = ANSWER_TIMEOUT_S) -> list[str]:
    """Make the topics that are missing and give their names; topics that exist are left as they are.

    Returns when the new topics can be read and written.
    ``settings.kafka`` must be an address. Raises `TopicsError` when the brokers cannot be reached or refuse,
    or when a topic exists with another number of partitions: predictions keep their event's partition, so
    all but the one of replays must have the same number.
    """
    admin = AdminClient(
        {"bootstrap.servers": settings.kafka, "log_level": LOG_ALERTS_ONLY, **confluent_settings(settings)}
    )
    require_answer(admin, settings.kafka, answer_timeout_s)
    wanted = [_new_topic(topic, settings.replication_factor) for topic in topics(settings)]
    made = []
    for name, future in admin.create_topics(wanted, operation_timeout=ADMIN_TIMEOUT_S).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TopicsError(f"cannot make the topic {name}: {error.args[0].str()}") from error
        else:
            made.append(name)
    _require_partitions(admin, settings)
    new = [topic for topic in topics(settings) if topic.name in made]
    await_leaders(admin, {TopicPartition(topic.name, p) for topic in new for p in range(topic.partitions)})
    return made


def require_answer(admin: AdminClient, address: str, timeout_s: float) -> None:
    """Return when the brokers answer. Raises `TopicsError` when they do not within ``timeout_s``."""
    try:
        admin.list_topics(timeout=timeout_s)
    except KafkaException as error:
        raise TopicsError(
            f"Kafka at {address} does not answer: {error.args[0].str()}; "
            "`foreclick services up` starts one here, the setting kafka names another"
        ) from error


def _new_topic(topic: Topic, replication_factor: int) -> NewTopic:
    return NewTopic(
        topic.name,
        num_partitions=topic.partitions,
        replication_factor=replication_factor,
        config=topic.config,
    )


def _require_partitions(admin: AdminClient, settings: Settings) -> None:
    found = known_topics(admin, {topic.name for topic in topics(settings)})
    for topic in topics(settings):
        partitions = len(found[topic.name].partitions) if topic.name in found else topic.partitions
        if partitions != topic.partitions:
            raise TopicsError(
                f"the topic {topic.name} has {partitions} partitions, but the setting is "
                f"{topic.partitions}; set partitions = {partitions}, or choose another topic_prefix"
            )


def known_topics(
    admin: AdminClient, wanted: set[str], patience_s: float = ADMIN_TIMEOUT_S
) -> dict[str, TopicMetadata]:
    """Give the broker's topics once it knows all that are wanted: it learns of new ones a moment later."""
    deadline_s = time.monotonic() + patience_s
    while True:
        found = admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics
        if wanted <= found.keys() or time.monotonic() > deadline_s:
            return found
        time.sleep(LOOK_AGAIN_S)


def await_leaders(admin: AdminClient, partitions: set[TopicPartition]) -> None:
    """Return when each partition's leader answers; a broker takes up a new partition a moment later."""
    deadline_s = time.monotonic() + ADMIN_TIMEOUT_S
    while partitions:
        asked = admin.list_offsets(dict.fromkeys(partitions, LATEST))
        errors = {partition: future.exception(ADMIN_TIMEOUT_S) for partition, future in asked.items()}
        partitions = {partition for partition, error in errors.items() if error}
        if partitions and time.monotonic() > deadline_s:
            place = min(partitions, key=str)
            raise TopicsError(f"{place.topic}, partition {place.partition}, has no leader: {errors[place]}")
        time.sleep(LOOK_AGAIN_S if partitions else 0)
