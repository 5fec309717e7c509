"""What the worker asks the brokers about its topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, TopicCollection, Uuid
from confluent_kafka.admin import AdminClient

from streamer.errors import BrokerUnavailable, TopicMissing

_TIMEOUT_S = 10.0


def topic_ids(bootstrap: str, security: Mapping[str, str], topics: Sequence[str]) -> dict[str, str]:
    """Return the id of each of ``topics``: a topic made anew has a new one.

    Blocks for up to 20 s. Raises `TopicMissing` or `BrokerUnavailable`.
    """
    # What librdkafka would print comes back as an error.
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 1, **security})
    described = admin.describe_topics(TopicCollection(list(topics)), request_timeout=_TIMEOUT_S)
    ids = {}
    for topic, answer in described.items():
        try:
            ids[topic] = _as_kafka_prints(answer.result(timeout=2 * _TIMEOUT_S).topic_id)
        except KafkaException as error:
            raise _explained(topic, bootstrap, error.args[0]) from error
    return ids


def _as_kafka_prints(topic_id: Uuid) -> str:
    """Return the id in URL-safe base64, as Kafka's own tools print it and librdkafka does not."""
    return str(topic_id).translate(str.maketrans("+/", "-_"))


def _explained(topic: str, bootstrap: str, error: KafkaError) -> TopicMissing | BrokerUnavailable:
    if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        return TopicMissing(f"there is no topic {topic}; `foreclick topics` creates what is missing")
    return BrokerUnavailable(f"the brokers at {bootstrap} did not answer ({error.str()}); are they up?")
