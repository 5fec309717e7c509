"""What the worker asks the brokers about its topics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, TopicCollection, Uuid
from confluent_kafka.admin import AdminClient

from streamer.errors import BrokerUnavailable, TopicMissing

_TIMEOUT_S = 10.0
_QUICK_TIMEOUT_S = 3.0


def topic_ids(bootstrap: str, security: Mapping[str, str], topics: Sequence[str]) -> dict[str, str]:
    """Return the id of each of ``topics``: a topic made anew has a new one.

    Blocks for up to 20 s. Raises `TopicMissing` or `BrokerUnavailable`.
    """
    return _ids(_admin(bootstrap, security), bootstrap, topics)


def asks_for_topic_id(bootstrap: str, security: Mapping[str, str], topic: str) -> Callable[[], str]:
    """Return a function that asks the brokers for the id that ``topic`` has now, as `topic_ids` does.

    It keeps its connection, so that it may be called often, and blocks for up to 3 s.
    """
    admin = _admin(bootstrap, security)
    return lambda: _ids(admin, bootstrap, [topic], _QUICK_TIMEOUT_S)[topic]


def _admin(bootstrap: str, security: Mapping[str, str]) -> AdminClient:
    # What librdkafka would print comes back as an error.
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 1, **security})


def _ids(
    admin: AdminClient, bootstrap: str, topics: Sequence[str], timeout_s: float = _TIMEOUT_S
) -> dict[str, str]:
    described = admin.describe_topics(TopicCollection(list(topics)), request_timeout=timeout_s)
    ids = {}
    for topic, answer in described.items():
        try:
            ids[topic] = _as_kafka_prints(answer.result(timeout=2 * timeout_s).topic_id)
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
