"""The fault that ends a topic: it is deleted and made anew under load, and all begins at offset 0 again."""

from __future__ import annotations

import time
from typing import Final

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from benchmarks.support.faults.feed import Feed
from benchmarks.support.faults.schedule import RECREATED, Injected, Say
from benchmarks.support.faults.servers import wait_until
from benchmarks.support.faults.stage import PATIENCE_S, Stage
from foreclick.checking.topics import QUIET, uuid_text
from foreclick.topics import create_topics

_STREAMING_S: Final = 4.0


def recreate_events_topic(stage: Stage, say: Say) -> Injected:
    """Delete the events topic under its workers, make it anew, and stream the same log into it.

    The producer has ended before; another one starts. Raises TimeoutError where a partition does not recover.
    """
    topic = stage.settings.events_topic
    admin = AdminClient({**QUIET, "log_level": "1", "bootstrap.servers": stage.settings.kafka})
    before = _topic_id(admin, topic)
    admin.delete_topics([topic])[topic].result()
    wait_until(
        lambda: topic not in admin.list_topics(timeout=10).topics, PATIENCE_S, f"{topic} is still there"
    )
    create_topics(stage.settings)
    stage.growths.clear()
    after = _topic_id(admin, topic)
    directory = stage.directory / "second"
    directory.mkdir()
    stage.feed = Feed(stage.settings, stage.log, stage.rate, directory).__enter__()
    wait_until(lambda: min(stage.ends(topic).values()) > 0, PATIENCE_S, "the producer did not start")
    recovery_s = stage.recovery_s()
    effect = f"its id was {before}, then {after}"
    say(f"{RECREATED}: {effect}; recovered in {recovery_s:.1f} s")
    time.sleep(_STREAMING_S)
    return Injected(RECREATED, effect, recovery_s)


def _topic_id(admin: AdminClient, topic: str) -> str:
    """Return the topic's id; waits a moment for one that has just been made."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            described = admin.describe_topics(TopicCollection([topic]), request_timeout=10)
            return uuid_text(described[topic].result().topic_id)
        except KafkaException:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
