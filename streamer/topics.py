"""What the worker asks the brokers about its topics."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from streamer.errors import TopicMissing

_TIMEOUT_S = 10.0
_AS_KAFKA_PRINTS = str.maketrans("+/", "-_")  # librdkafka prints plain base64, Kafka's tools the URL-safe one


def topic_ids(bootstrap: str, security: Mapping[str, str], topics: Sequence[str]) -> dict[str, str]:
    """Return the id of each of ``topics``: a topic made anew has a new one.

    Blocks for up to 10 s. Raises `TopicMissing`.
    """
    quiet = logging.getLogger("streamer.admin")
    admin = AdminClient({"bootstrap.servers": bootstrap, **security}, logger=quiet)
    described = admin.describe_topics(TopicCollection(list(topics)), request_timeout=_TIMEOUT_S)
    ids = {}
    for topic, answer in described.items():
        try:
            plain = str(answer.result(timeout=2 * _TIMEOUT_S).topic_id)
            ids[topic] = plain.translate(_AS_KAFKA_PRINTS)
        except KafkaException as error:
            cure = "`foreclick topics` creates the topics that are missing"
            raise TopicMissing(f"topic {topic} cannot be read: {error.args[0].str()}; {cure}") from error
    return ids
